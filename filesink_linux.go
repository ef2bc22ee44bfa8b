package penstock

import (
	"os"
	"syscall"

	"github.com/penstock-io/penstock/internal/kernel"
)

var (
	_ FileSink  = (*fdSink)(nil)
	_ BytesSink = (*fdSink)(nil)
)

// SendFile is [FileSink]'s.
func (s *fdSink) SendFile(f *os.File, n int, flags Flags) (int, error) {
	if s.refuses || !s.isSocket() || s.parks() {
		return 0, opErr("sendfile", SideSink, PathSendfile, ErrCannotSplice)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, opErr("sendfile", SideSource, PathSendfile, err)
	}
	done := 0
	var werr, ferr error
	err = raw.Control(func(file uintptr) {
		werr = s.raw.Write(func(fd uintptr) bool {
			for done < n {
				var m int
				m, ferr = kernel.Sendfile(int(fd), int(file), nil, min(n-done, fileChunk))
				done += max(m, 0)
				if ferr == syscall.EAGAIN {
					return flags&NonBlock != 0
				}
				if ferr != nil || m <= 0 {
					break
				}
			}
			return true
		})
	})
	switch {
	case err != nil:
		return done, opErr("sendfile", SideSource, PathSendfile, err)
	case werr != nil:
		return done, opErr("sendfile", SideSink, PathSendfile, closedFile(s.v, werr))
	case ferr == syscall.EAGAIN:
		return done, errSinkWouldBlock
	case done == 0 && (refusal(ferr) || elsewhere(ferr)):
		return 0, opErr("sendfile", SideSink, PathSendfile, ErrCannotSplice)
	case ferr != nil:
		return done, opErr("sendfile", SideSink, PathSendfile, ferr)
	}
	return done, nil
}

// Queued returns how many bytes a socket has taken and its peer has not acknowledged; of anything else 0.
func (s *fdSink) Queued() int { return s.queued() }

// TryWritev is [BytesSink]'s.
func (s *fdSink) TryWritev(views [][]byte) (int, error) {
	if !s.isSocket() || s.parks() {
		return 0, opErr("write", SideSink, PathPages, ErrCannotSplice)
	}
	s.rest, s.n, s.moved, s.err = views, 0, 0, nil
	err := s.raw.Control(s.tryStep)
	s.rest = nil
	return s.result(PathPages, err)
}

// tryWrite is one writev, and changes nothing of what it is given.
func (s *fdSink) tryWrite(fd uintptr) {
	switch {
	case len(s.rest) == 1:
		s.moved, s.err = kernel.SendNow(int(fd), s.rest[0])
	default:
		s.moved, s.err = kernel.Writev(int(fd), s.rest[:min(len(s.rest), kernel.MaxVector)])
	}
}
