package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// wire carries commands to a browser, and answers back. Messages are JSON with a zero byte behind.
type wire struct {
	to io.Writer

	mu      sync.Mutex // guards what follows, and writing
	last    int
	waiting map[int]chan message // for answers; nil when there will be no more
	problem []string             // what pages have complained of
}

// message is one of either way.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

var errGone = errors.New("the browser is gone")

func newWire(to io.Writer, from io.Reader) *wire {
	w := &wire{to: to, waiting: make(map[int]chan message)}
	go w.read(bufio.NewReader(from))
	return w
}

// read hands out answers until the browser is gone.
func (w *wire) read(from *bufio.Reader) {
	for {
		text, err := from.ReadBytes(0)
		if err != nil {
			break
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			w.complain("not understood: " + string(text))
			continue
		}
		w.take(m)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.waiting {
		close(c)
	}
	w.waiting = nil
}

func (w *wire) take(m message) {
	switch m.Method {
	case "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled":
		w.complain(m.Method + " " + string(m.Params))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.waiting[m.ID]; c != nil {
		delete(w.waiting, m.ID)
		c <- m
	}
}

func (w *wire) complain(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = append(w.problem, text)
}

// problems returns what pages have complained of so far: exceptions, and what is on their consoles.
func (w *wire) problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.problem...)
}

// ask sends a command, and waits for its answer, which goes to result unless that is nil.
func (w *wire) ask(session, method string, params, result any) error {
	p, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answer, err := w.send(message{Session: session, Method: method, Params: p})
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	m, more := <-answer
	switch {
	case !more:
		return fmt.Errorf("%s: %w", method, errGone)
	case m.Error != nil:
		return fmt.Errorf("%s: %s", method, m.Error.Message)
	case result != nil:
		return json.Unmarshal(m.Result, result)
	}
	return nil
}

func (w *wire) send(m message) (<-chan message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		return nil, errGone
	}
	w.last++
	m.ID = w.last
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	w.waiting[m.ID] = answer
	_, err = w.to.Write(append(text, 0))
	return answer, err
}
