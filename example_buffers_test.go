package penstock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
)

// Memory is lent to the pipe, and to whoever gets a reference to it from there. It may be used again when the last of
// them is gone.
func ExampleVmsplice() {
	p, q := penstock.NewPipe(0), penstock.NewPipe(0)
	defer q.Close()
	memory := []byte("lent\n")
	must(penstock.Vmsplice(ctx, p, memory, func() { fmt.Println("mine again") }, 0))
	must(penstock.Tee(ctx, q, p, len(memory), 0))
	must(penstock.Splice(ctx, os.Stdout, p, len(memory), 0))
	check(p.Close())
	fmt.Println("a viewer has it still")
	must(penstock.Splice(ctx, os.Stdout, q, len(memory), 0))
	// Output:
	// lent
	// a viewer has it still
	// lent
	// mine again
}

// A logger that copies nothing, and waits for no callback: its memory is a ring of twice as many lines as the pipe has
// slots. When half of it has been lent, the other half has left the pipe, or Vmsplice would have waited.
func ExampleVmsplice_logger() {
	const slots, line = 4, 32
	p := penstock.NewPipe(slots)
	defer p.Close()
	var drain sync.WaitGroup
	drain.Go(func() {
		if _, err := p.WriteTo(os.Stdout); err != nil {
			fmt.Println(err)
		}
	})
	var ring [2 * slots][line]byte
	for i := range 3 * slots {
		entry := fmt.Appendf(ring[i%len(ring)][:0], "entry %d\n", i)
		must(penstock.Vmsplice(ctx, p, entry, nil, 0))
	}
	check(p.CloseWrite())
	drain.Wait()
	// Output:
	// entry 0
	// entry 1
	// entry 2
	// entry 3
	// entry 4
	// entry 5
	// entry 6
	// entry 7
	// entry 8
	// entry 9
	// entry 10
	// entry 11
}

// Buffers are pulled out of one pipe and pushed into others: a page that is nobody else's may be changed on the way.
func ExamplePipe_Pull() {
	p, q := penstock.NewPipe(0), penstock.NewPipe(0)
	defer p.Close()
	defer q.Close()
	must(p.Write([]byte("quiet\n")))
	b, err := p.Pull(ctx, 1<<20, 0)
	check(err)
	if data, ok := b.Steal(); ok {
		copy(data, bytes.ToUpper(data))
		b.Unmap()
	}
	check(q.Push(ctx, b, 0))
	must(penstock.Splice(ctx, os.Stdout, q, 1<<20, 0))
	// Output: QUIET
}

// What was pulled and is not wanted goes back to the head.
func ExamplePipe_Unread() {
	p := penstock.NewPipe(0)
	defer p.Close()
	must(p.Write([]byte("first, second\n")))
	b, err := p.Pull(ctx, 6, 0)
	check(err)
	check(p.Unread(b))
	must(penstock.Splice(ctx, os.Stdout, p, 1<<20, 0))
	// Output: first, second
}

// A file's page was truncated away between the time it went into the pipe and the time it was wanted. The reader stops
// before it, the writer is told, and somebody who has the bytes puts them in its place.
func ExamplePipe_Refill() {
	file := bytes.NewReader([]byte("gone"))
	ahead, err := penstock.ReadAhead(shrinking{file}, 0, 4)
	check(err)
	p := penstock.NewPipe(0)
	defer p.Close()
	must(p.Write([]byte("before, ")))
	must(ahead.SpliceRead(p, 1<<20, 0))

	b := make([]byte, 64)
	n := must(p.Read(b))
	_, err = p.Read(b[n:])
	_, werr := p.Write([]byte("more"))
	var op *penstock.OpError
	fmt.Println(errors.Is(err, penstock.ErrTruncated), errors.Is(werr, penstock.ErrTruncated), errors.As(err, &op), op.Offset)

	spare, err := penstock.GiftBuffer([]byte("from a replica\n"))
	check(err)
	check(p.Refill(spare))
	n += must(p.Read(b[n:]))
	fmt.Printf("%s", b[:n])
	// Output:
	// true true true 8
	// before, from a replica
}

// shrinking is a file that is empty by the time it is read.
type shrinking struct{ *bytes.Reader }

func (shrinking) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }

// A file becomes something that can be waited for: its pages are in the pipe while their reads are in flight.
func ExampleReadAhead() {
	file, err := penstock.ReadAhead(bytes.NewReader([]byte("from the disk\n")), 0, -1)
	check(err)
	p := penstock.NewPipe(0)
	defer p.Close()
	must(file.SpliceRead(p, 1<<20, 0))
	select {
	case <-p.Readable():
		must(penstock.Splice(ctx, os.Stdout, p, 1<<20, 0))
	case <-time.After(time.Minute):
		fmt.Println("a slow disk")
	}
	// Output: from the disk
}

// All pipes of one client share a quota: beyond its soft limit new ones get two slots, and none may grow.
func ExampleQuota() {
	client := penstock.NewQuota(40, 0)
	for range 3 {
		p, err := penstock.OpenPipe(penstock.PipeConfig{PageSize: 4096, Quota: client})
		check(err)
		defer p.Close()
		fmt.Println(p.Slots(), client.Used())
	}
	// Output:
	// 16 16
	// 16 32
	// 2 34
}
