package penstock

import (
	"fmt"
	"io"
)

// reads calls a Reader in a goroutine of its own, one Read at a time, so that whoever waits for one can leave it behind.
type reads struct {
	done   <-chan struct{} // ends the waiting
	ask    chan []byte
	answer chan readResult
	left   chan *Pipe // where the Read that was left behind is to put what it brings
}

type readResult struct {
	n        int
	err      error
	panicked any // what the Read panicked with: it goes on where it was called from
}

func startReads(r io.Reader, done <-chan struct{}) *reads {
	s := &reads{done: done, ask: make(chan []byte), answer: make(chan readResult), left: make(chan *Pipe, 1)}
	go s.run(r)
	return s
}

func (s *reads) run(r io.Reader) {
	for b := range s.ask {
		a := answer(r, b)
		select {
		case s.answer <- a:
			continue
		case late := <-s.left:
			if a.n > 0 {
				deposit(late, b[:a.n])
			}
			if a.panicked != nil {
				a.err = fmt.Errorf("the reader panicked: %v", a.panicked)
			}
			if a.err == io.EOF {
				a.err = nil
			}
			_ = late.CloseWithError(a.err) // never fails
			return
		}
	}
}

func answer(r io.Reader, b []byte) (a readResult) {
	defer func() { a.panicked = recover() }()
	a.n, a.err = counted(r.Read, b)
	return a
}

// read reads into b, which is the Read's until it returns. It is false if the waiting was ended: then there is no other
// read.
func (s *reads) read(b []byte) (int, error, bool) {
	s.ask <- b
	var a readResult
	select {
	case a = <-s.answer:
	case <-s.done:
		select {
		case a = <-s.answer: // both at once: it is not late
		default:
			return 0, nil, false
		}
	}
	if a.panicked != nil {
		panic(a.panicked)
	}
	return a.n, a.err, true
}

// late returns the pipe that gets what a Read that was left behind brings, and then its end.
func (s *reads) late() *Pipe {
	p := NewPipe(1)
	s.left <- p
	return p
}

// stop ends the goroutine when no Read is left behind.
func (s *reads) stop() { close(s.ask) }
