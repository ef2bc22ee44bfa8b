package penstock

import "io"

// reads calls a Reader in a goroutine of its own, one Read at a time, so that whoever waits for one can leave it behind.
type reads struct {
	done   <-chan struct{} // ends the waiting
	ask    chan []byte
	answer chan readResult
	left   chan *Pipe // where the Read that was left behind is to put what it brings
}

type readResult struct {
	n   int
	err error
}

func startReads(r io.Reader, done <-chan struct{}) *reads {
	s := &reads{done: done, ask: make(chan []byte), answer: make(chan readResult), left: make(chan *Pipe, 1)}
	go s.run(r)
	return s
}

func (s *reads) run(r io.Reader) {
	for b := range s.ask {
		n, err := counted(r.Read, b)
		select {
		case s.answer <- readResult{n, err}:
			continue
		case late := <-s.left:
			if n > 0 {
				deposit(late, b[:n])
			}
			if err == io.EOF {
				err = nil
			}
			_ = late.CloseWithError(err) // never fails
			return
		}
	}
}

// read reads into b, which is the Read's until it returns. It is false if the waiting was ended: then there is no other
// read.
func (s *reads) read(b []byte) (int, error, bool) {
	s.ask <- b
	select {
	case a := <-s.answer:
		return a.n, a.err, true
	case <-s.done:
		return 0, nil, false
	}
}

// late returns the pipe that gets what a Read that was left behind brings, and then its end.
func (s *reads) late() *Pipe {
	p := NewPipe(1)
	s.left <- p
	return p
}

// stop ends the goroutine when no Read is left behind.
func (s *reads) stop() { close(s.ask) }
