package penstock_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/penstock-io/penstock"
)

// A stream goes to two sinks through one pipe each; the second pipe holds the same pages as the first.
func ExampleTee() {
	camera := penstock.SourceOf(strings.NewReader("moving pictures\n"))
	disk, screen := penstock.SinkOf(os.Stdout), penstock.SinkOf(os.Stdout)

	p, q := penstock.NewPipe(0), penstock.NewPipe(0)
	defer p.Close()
	defer q.Close()
	for {
		n, err := camera.SpliceRead(p, p.Cap(), 0)
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := penstock.Tee(context.Background(), q, p, n, penstock.NonBlock); err != nil {
			fmt.Println(err)
			return
		}
		for sink, pipe := range map[penstock.Sink]penstock.Conduit{disk: p, screen: q} {
			if _, err := sink.SpliceWrite(pipe, n, 0); err != nil {
				fmt.Println(err)
				return
			}
		}
	}
	// Output:
	// moving pictures
	// moving pictures
}

// A header and a body leave together: both are in the pipe before the sink sees it.
func ExampleSource() {
	p := penstock.NewPipe(0)
	defer p.Close()
	header, err := p.Write([]byte("header, "))
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := penstock.SourceOf(strings.NewReader("body\n")).SpliceRead(p, p.Cap(), 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := penstock.SinkOf(os.Stdout).SpliceWrite(p, header+body, 0); err != nil {
		fmt.Println(err)
	}
	// Output: header, body
}

// fussy takes a few bytes and then fails, as a full disk does.
type fussy struct{}

func (fussy) Write(b []byte) (int, error) { return 7, fmt.Errorf("no space left on device") }

// What a failed sink did not take is still in the pipe, and the error says which side failed.
func ExampleOpError() {
	p := penstock.NewPipe(0)
	defer p.Close()
	if _, err := p.Write([]byte("taken; left in the pipe\n")); err != nil {
		fmt.Println(err)
		return
	}
	n, err := penstock.SinkOf(fussy{}).SpliceWrite(p, p.Len(), 0)
	side, _ := penstock.SideOf(err)
	fmt.Println(n, side, err)

	if _, err := penstock.SinkOf(os.Stdout).SpliceWrite(p, p.Len(), 0); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 7 sink penstock: splice sink: no space left on device
	// left in the pipe
}
