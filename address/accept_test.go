package address

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// scarce is a listener for which there is a while without descriptors.
type scarce struct {
	net.Listener
	lacks []syscall.Errno
}

func (s *scarce) Accept() (net.Conn, error) {
	if len(s.lacks) > 0 {
		lack := s.lacks[0]
		s.lacks = s.lacks[1:]
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", lack)}
	}
	near, far := net.Pipe()
	far.Close()
	return near, nil
}

func TestAListenerOutlivesAScarcityOfDescriptors(t *testing.T) {
	var said []string
	l := &Listener{
		listener: &scarce{lacks: []syscall.Errno{syscall.EMFILE, syscall.ENFILE}}, left: -1, role: Source,
		config: Config{Say: func(text string) { said = append(said, text) }},
	}
	for range 2 {
		e, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Reader.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		e.Close()
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], "cannot accept yet: ") || !strings.HasSuffix(said[0], "; trying again") {
		t.Errorf("it said %q", said)
	}
}

func TestAScarcityOfDescriptorsEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	l := &Listener{
		listener: &scarce{lacks: make([]syscall.Errno, 9)}, left: -1,
		config: Config{Say: func(string) { cancel(enough) }},
	}
	for i := range 9 {
		l.listener.(*scarce).lacks[i] = syscall.EMFILE
	}
	if _, err := l.Accept(ctx); !errors.Is(err, enough) {
		t.Error(err)
	}
}
