package penstock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/penstock-io/penstock"
)

var ctx = context.Background()

// One source, spliced from pipe to pipe: what moves is a reference to each page.
func ExampleSplice() {
	p, q := penstock.NewPipe(0), penstock.NewPipe(0)
	defer p.Close()
	defer q.Close()
	must(penstock.Splice(ctx, p, strings.NewReader("from a reader, "), 1<<20, 0))
	must(penstock.Splice(ctx, q, p, 1<<20, 0))
	must(q.Write([]byte("and plain writes behind it\n")))
	must(penstock.Splice(ctx, os.Stdout, q, 1<<20, 0))
	// Output: from a reader, and plain writes behind it
}

// A media server in small: one stream is recorded and watched at once. Both pipes hold the same pages, and the viewer's
// copy is made before the recording consumes it.
func ExampleTee() {
	camera := strings.NewReader("moving pictures\n")
	intake, screen := penstock.NewPipe(0), penstock.NewPipe(0)
	defer intake.Close()
	defer screen.Close()
	for {
		n, err := penstock.Splice(ctx, intake, camera, 1<<20, 0)
		if err == io.EOF {
			break
		}
		check(err)
		must(penstock.Tee(ctx, screen, intake, n, 0))
		must(penstock.Splice(ctx, os.Stdout, intake, n, 0)) // the disk
		must(penstock.Splice(ctx, os.Stdout, screen, n, 0)) // the viewer
	}
	// Output:
	// moving pictures
	// moving pictures
}

// All outputs get the same run, or none gets any; the one that has no room is named.
func ExampleTeeMany() {
	source, fast, slow := penstock.NewPipe(0), penstock.NewPipe(0), penstock.NewPipe(1)
	defer source.Close()
	defer fast.Close()
	defer slow.Close()
	must(source.Write([]byte("in step")))
	outputs := []penstock.Conduit{fast, slow}
	fmt.Println(penstock.TeeMany(ctx, outputs, source, 7, penstock.NonBlock))
	_, err := penstock.TeeMany(ctx, outputs, source, 7, penstock.NonBlock)
	var out *penstock.OutputError
	fmt.Println(errors.As(err, &out), out.Output, errors.Is(err, penstock.ErrWouldBlock), fast.Len(), slow.Len())
	// Output:
	// 7 <nil>
	// true 1 true 7 7
}

// A header and a file leave together: both are in the pipe before the sink sees any of it, so there is no cork to pull
// and no second packet.
func Example_headerAndFile() {
	dir, err := os.MkdirTemp("", "penstock")
	check(err)
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "body")
	check(os.WriteFile(name, []byte("the body\n"), 0o600))
	file, err := os.Open(name)
	check(err)
	defer file.Close()

	p := penstock.NewPipe(0)
	defer p.Close()
	must(p.Write([]byte("Content-Length: 9\n\n")))
	must(penstock.Splice(ctx, p, file, 1<<20, 0))
	must(penstock.Splice(ctx, os.Stdout, p, p.Len(), 0))
	// Output:
	// Content-Length: 9
	//
	// the body
}

// fullDisk takes a few bytes and then no more.
type fullDisk struct{}

func (fullDisk) Write(b []byte) (int, error) { return 7, syscall.ENOSPC }

// What a failed sink did not take is still in the pipe, and the error says which side failed.
func Example_errorRecovery() {
	p := penstock.NewPipe(0)
	defer p.Close()
	must(p.Write([]byte("taken; left in the pipe\n")))
	n, err := penstock.Splice(ctx, fullDisk{}, p, 1<<20, 0)
	side, _ := penstock.SideOf(err)
	fmt.Println(n, "bytes;", side, "failed;", errors.Is(err, syscall.ENOSPC))

	must(penstock.Splice(ctx, os.Stdout, p, 1<<20, 0)) // to another disk
	// Output:
	// 7 bytes; sink failed; true
	// left in the pipe
}

// A pipe without room refuses a write rather than wait, and says whose fault that is.
func ExampleOpError() {
	p := penstock.NewPipe(1)
	defer p.Close()
	must(p.Write(make([]byte, p.Cap())))
	_, err := penstock.Splice(ctx, p, strings.NewReader("more"), 4, penstock.NonBlock)
	var op *penstock.OpError
	fmt.Println(errors.As(err, &op), op.Op, op.Side, errors.Is(err, syscall.EAGAIN))
	// Output: true splice sink true
}

// A parser looks at what is there, across writes, and takes what it understood. A *bufio.Reader could stand for the
// pipe.
func ExamplePipe_Peek() {
	p := penstock.NewPipe(0)
	defer p.Close()
	for _, part := range []string{"\x05he", "llo\x05wo", "rld"} {
		must(p.Write([]byte(part)))
	}
	check(p.CloseWrite())
	for {
		head, err := p.Peek(1)
		if err == io.EOF {
			break
		}
		check(err)
		n := 1 + int(head[0])
		message, err := p.Peek(n)
		check(err)
		fmt.Printf("%s\n", message[1:])
		must(p.Discard(n))
	}
	// Output:
	// hello
	// world
}

// A producer writes straight into the pipe's page.
func ExamplePipe_Reserve() {
	p := penstock.NewPipe(0)
	defer p.Close()
	for _, word := range []string{"straight ", "into ", "the page\n"} {
		space, err := p.Reserve(len(word))
		check(err)
		check(p.Commit(copy(space, word)))
	}
	must(penstock.Splice(ctx, os.Stdout, p, 1<<20, 0))
	// Output: straight into the page
}

// Where the source can show its buffer and the sink is a plain writer, the bytes are written from where they lie.
func ExamplePeeker() {
	r := bufio.NewReader(strings.NewReader("shown, not copied\n"))
	must(penstock.Splice(ctx, os.Stdout, r, 1<<20, 0))
	_, err := penstock.Splice(ctx, os.Stdout, strings.NewReader("no buffer"), 1<<20, 0)
	fmt.Println(errors.Is(err, penstock.ErrCannotSplice))
	// Output:
	// shown, not copied
	// true
}

func must(n int, err error) int {
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
