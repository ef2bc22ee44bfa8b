package main

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/rogpeppe/go-internal/testscript"
)

// data FILE SIZE writes so many bytes that no two files have in common.
func data(ts *testscript.TestScript, _ bool, args []string) {
	n, err := humanize.ParseBytes(args[1])
	ts.Check(err)
	name := fnv.New64()
	io.WriteString(name, args[0])
	var seed [32]byte
	name.Sum(seed[:0])
	b := make([]byte, n)
	_, err = rand.NewChaCha8(seed).Read(b)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o666))
}

// part FILE FROM LENGTH OUT writes a piece of a file to another; a LENGTH of - is all that is left.
func part(ts *testscript.TestScript, _ bool, args []string) {
	b := ts.ReadFile(args[0])
	from, err := strconv.Atoi(args[1])
	ts.Check(err)
	to := len(b)
	if args[2] != "-" {
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		to = from + n
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(b[from:to]), 0o666))
}

// same FILE FILE... compares files by their checksums; stdout and stderr are files, too.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: same file file...")
	}
	of := func(name string) string {
		b := ts.ReadFile(name)
		return fmt.Sprintf("%x, %d bytes", sha256.Sum256([]byte(b)), len(b))
	}
	want := of(args[0])
	for _, name := range args[1:] {
		if got := of(name); (got == want) == neg {
			ts.Fatalf("%s: %s; %s: %s", args[0], want, name, got)
		}
	}
}

// pieces FILE OF tells whether a file consists of pieces of another, in their order.
func pieces(ts *testscript.TestScript, _ bool, args []string) {
	const telling = 32 // random bytes that are nowhere else
	rest, of := ts.ReadFile(args[0]), ts.ReadFile(args[1])
	for whole := len(rest); rest != ""; {
		at := strings.Index(of, rest[:min(telling, len(rest))])
		if at < 0 {
			ts.Fatalf("%s: what is at %d is not from %s, or is there earlier", args[0], whole-len(rest), args[1])
		}
		of = of[at:]
		n := 0
		for n < min(len(rest), len(of)) && rest[n] == of[n] {
			n++
		}
		rest, of = rest[n:], of[n:]
	}
}
