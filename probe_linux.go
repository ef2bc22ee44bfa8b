package penstock

import (
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/internal/kernel"
)

// tries move a byte each, and look at what has arrived.
var tries = [verbCount]func(*workbench) error{
	verbSplice:        trySplice,
	verbTee:           tryTee,
	verbVmsplice:      tryVmsplice,
	verbSendfile:      trySendfile,
	verbCopyFileRange: tryCopyFileRange,
}

// probeByte is what every try moves.
const probeByte = 'p'

func tryVerb(v kernelVerb) Verb {
	var b workbench
	defer b.clear()
	err := tries[v](&b)
	switch {
	case err == nil:
		return Verb{State: VerbWorks}
	case errors.As(err, new(*unpreparedError)) || shortage(err) || v == verbCopyFileRange && ofTheFiles(err):
		return Verb{VerbUntried, err}
	default:
		return Verb{VerbRefused, err}
	}
}

// shortage tells the errors that pass: of a full descriptor table, of the process or of the system, of a user at its
// hard limit of pipe pages, and of memory. sendfile needs a pipe, too, so that the verb itself may say so.
func shortage(err error) bool {
	return slices.ContainsFunc([]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EAGAIN},
		func(e error) bool { return errors.Is(err, e) })
}

// ofTheFiles tells the errors of copy_file_range that are about a pair of files: files in memory that cannot be copied
// so say nothing about those on a disk.
func ofTheFiles(err error) bool {
	return slices.ContainsFunc([]error{syscall.EXDEV, syscall.EINVAL, syscall.EOPNOTSUPP},
		func(e error) bool { return errors.Is(err, e) })
}

// workbench holds the descriptors of one try.
type workbench struct{ fds []int }

func (b *workbench) clear() {
	for _, fd := range b.fds {
		_ = kernel.Close(fd)
	}
}

// unpreparedError says that something was missing that a try needs, so that it says nothing about the verb.
type unpreparedError struct {
	what string
	err  error
}

func (e *unpreparedError) Error() string { return e.what + ": " + e.err.Error() }
func (e *unpreparedError) Unwrap() error { return e.err }

// keep takes ownership of what a call has opened.
func (b *workbench) keep(what string, err error, fds ...int) error {
	if err != nil {
		return &unpreparedError{what, err}
	}
	b.fds = append(b.fds, fds...)
	return nil
}

func (b *workbench) pipe() (r, w int, err error) {
	r, w, _, err = kernel.Pipe(0)
	return r, w, b.keep("pipe", err, r, w)
}

// filled returns a pipe that holds the byte.
func (b *workbench) filled() (r int, err error) {
	r, w, err := b.pipe()
	if err == nil {
		_, err = kernel.Write(w, []byte{probeByte})
		err = b.keep("write", err)
	}
	return r, err
}

// file returns a file that no directory knows: in memory, or where there is no memfd_create in the page cache.
func (b *workbench) file(content ...byte) (int, error) {
	fd, err := unix.MemfdCreate("penstock-probe", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // MFD_NOEXEC_SEAL is of Linux 6.3, which warns of files without
		fd, err = unix.MemfdCreate("penstock-probe", unix.MFD_CLOEXEC)
	}
	if err != nil && !shortage(err) {
		fd, err = unix.Open(os.TempDir(), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	}
	if err := b.keep("temporary file", err, fd); err != nil {
		return -1, err
	}
	_, err = unix.Pwrite(fd, content, 0)
	return fd, b.keep("write", err)
}

var errNotArrived = errors.New("the byte did not arrive")

// arrived looks whether a call moved the byte to fd.
func arrived(n int, err error, fd int) error {
	if err != nil {
		return err
	}
	var got [1]byte
	if n != 1 {
		return errNotArrived
	}
	if n, err := kernel.Read(fd, got[:]); err != nil || n != 1 || got[0] != probeByte {
		return errNotArrived
	}
	return nil
}

// between moves or duplicates the byte of a pipe into another, and returns the end that it came from, and both of the
// one where it has arrived.
func (b *workbench) between(call func(dst, src, n int) (int, error)) (src, r, w int, err error) {
	if src, err = b.filled(); err != nil {
		return
	}
	if r, w, err = b.pipe(); err != nil {
		return
	}
	n, err := call(w, src, 1)
	return src, r, w, arrived(n, err, r)
}

// trySplice moves from pipe to pipe, and on to what is no pipe; where there is no /dev/null the first will do.
func trySplice(b *workbench) error {
	_, r, w, err := b.between(kernel.Splice)
	if err != nil {
		return err
	}
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	b.fds = append(b.fds, null)
	if _, err := kernel.Write(w, []byte{probeByte}); err != nil {
		return nil
	}
	n, err := kernel.Splice(null, r, 1)
	if err == nil && n != 1 {
		err = errNotArrived
	}
	return err
}

func tryTee(b *workbench) error {
	src, _, _, err := b.between(kernel.Tee)
	if err != nil {
		return err
	}
	return arrived(1, nil, src) // it has consumed nothing
}

func tryVmsplice(b *workbench) error {
	r, w, err := b.pipe()
	if err != nil {
		return err
	}
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err := b.keep("mmap", err); err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(page) }()
	page[0] = probeByte
	n, err := kernel.Vmsplice(w, page[:1], false)
	return arrived(n, err, r)
}

func trySendfile(b *workbench) error {
	in, err := b.file(probeByte)
	if err != nil {
		return err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err := b.keep("socketpair", err, fds[:]...); err != nil {
		return err
	}
	var off int64
	n, err := kernel.Sendfile(fds[0], in, &off, 1)
	return arrived(n, err, fds[1])
}

func tryCopyFileRange(b *workbench) error {
	in, err := b.file(probeByte)
	if err != nil {
		return err
	}
	out, err := b.file()
	if err != nil {
		return err
	}
	var inOff, outOff int64 // so that the file's own position stays where the byte is to be read
	n, err := kernel.CopyFileRange(out, &outOff, in, &inOff, 1)
	return arrived(n, err, out)
}

// lookUp finds out the limits.
func (c *Capabilities) lookUp() {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		c.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	c.Files = -1
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		c.Files = int64(files.Cur)
		if files.Cur == unix.RLIM_INFINITY {
			c.Files = 0
		}
	}
	c.Pipes = Pipes{
		MaxSize: procLimit("pipe-max-size"),
		Soft:    procLimit("pipe-user-pages-soft"),
		Hard:    procLimit("pipe-user-pages-hard"),
	}
	c.Proc = c.Pipes.MaxSize >= 0
	c.Pipes.measure()
}

// procLimit reads a number of /proc/sys/fs, or returns -1.
func procLimit(name string) int {
	text, err := os.ReadFile("/proc/sys/fs/" + name)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return -1
	}
	return n
}

// measure makes a pipe, and asks for the largest.
func (p *Pipes) measure() {
	r, w, size, err := kernel.Pipe(0)
	if err != nil {
		p.Err = err
		return
	}
	defer func() {
		_ = kernel.Close(r)
		_ = kernel.Close(w)
	}()
	p.Default, p.Largest = size, size
	// Where pipe-max-size itself is two pages, so is every pipe.
	p.OverSoft = size == slotsBeyondSoft*os.Getpagesize() && p.MaxSize != size
	ask := p.MaxSize
	if ask < 0 {
		ask = usualMaxSize
	}
	for ; ask > p.Largest; ask /= 2 {
		if n, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, min(ask, math.MaxInt32)); err == nil {
			p.Largest = n
		}
	}
}

// usualMaxSize is pipe-max-size as kernels come.
const usualMaxSize = 1 << 20

// errnoName returns "EPERM" and the like, or nothing if err has no number in it.
func errnoName(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return ""
}
