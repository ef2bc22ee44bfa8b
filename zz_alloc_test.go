package penstock

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
)

func benchHeader(b *testing.B, f func(c net.Conn, file *os.File, h []byte) error) {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		c, _ := l.Accept()
		io.Copy(io.Discard, c)
	}()
	c, _ := net.Dial("tcp", l.Addr().String())
	name := b.TempDir() + "/f"
	os.WriteFile(name, make([]byte, 4096), 0o600)
	file, _ := os.Open(name)
	h := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		file.Seek(0, 0)
		if err := f(c, file, h); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHeaderIO(b *testing.B) {
	benchHeader(b, func(c net.Conn, file *os.File, h []byte) error {
		c.Write(h)
		_, err := io.Copy(c, file)
		return err
	})
}
func BenchmarkHeaderPen(b *testing.B) {
	benchHeader(b, func(c net.Conn, file *os.File, h []byte) error {
		_, err := Copy(context.Background(), c, file, WithHeader(h))
		return err
	})
}
