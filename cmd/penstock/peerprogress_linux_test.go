package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Rates, sizes and progress beside pv, and watermarks beside mbuffer: bytes and the order of things, never times.

// filter runs a peer with a file on standard input, and returns what it writes and says.
func (p peer) filter(t *testing.T, data []byte) (got []byte, says string) {
	t.Helper()
	r := p.prepare(t, t.TempDir())
	r.Stdin = stdins["file"](t, data)
	out, w := pipe(t)
	r.Stdout = w
	through := collect(out)
	if status := r.begin().end(); status != 0 {
		t.Errorf("status %d; it said %q", status, r.stderr.String())
	}
	return through.all(t), r.stderr.String()
}

// TestARateLimitChangesNoByte and a size does, where it is to be the end.
func TestARateLimitChangesNoByte(t *testing.T) {
	t.Parallel()
	data := noise(300_000)
	for _, c := range []struct {
		flags []string
		most  int
	}{
		{[]string{"-L", "1M"}, len(data)},
		{[]string{"-L", "3000000"}, len(data)},
		{[]string{"-s", "100K"}, len(data)},
		{[]string{"-S", "-s", "100K"}, 100 << 10},
		{[]string{"-S", "-s", "1"}, 1},
		{[]string{"-S", "-s", "1M"}, len(data)},
		{[]string{"-L", "1M", "-S", "-s", "200000"}, 200_000},
		{[]string{"-B", "16K"}, len(data)},
	} {
		peers := copies(append(c.flags, "-q", "-", "-")...)
		for _, p := range append(peers, peer{"pv", append([]string{"pv", "-q"}, c.flags...)}) {
			t.Run(strings.Join(p.argv, " "), func(t *testing.T) {
				t.Parallel()
				got, says := p.filter(t, data)
				if diff := differ(got, data[:c.most]); diff != "" || says != "" {
					t.Errorf("%s; it said %q", diff, says)
				}
			})
		}
	}
}

// TestACopyThatRunsIsMadeFaster from a byte a second, which would take three days. (A pv of version
// 1.6.20 does not always hear its own -R.)
func TestACopyThatRunsIsMadeFaster(t *testing.T) {
	t.Parallel()
	data := noise(300_000)
	for _, p := range append(copies("-L", "1", "-", "-"),
		copies("-L", "1", "--buffer", "64KiB", "-", "-", "-o", "out")...) {
		t.Run(strings.Join(p.argv, " "), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := p.prepare(t, dir)
			r.Stdin = stdins["pipe"](t, data)
			out, w := pipe(t)
			r.Stdout = w
			r.begin()
			until(t, "a byte comes", func() bool { return held(t, out) > 0 })
			through := collect(out)
			change := peer{"-R", []string{"penstock", "copy", "-R", strconv.Itoa(r.Process.Pid), "-L", "0"}}.prepare(t, dir)
			if status := change.begin().end(); status != 0 {
				t.Errorf("-R: status %d; it said %q", status, change.stderr.String())
			}
			if diff := differ(through.all(t), data); diff != "" {
				t.Error(diff)
			}
			if status := r.end(); status != 0 {
				t.Errorf("status %d; it said %q", status, r.stderr.String())
			}
		})
	}
}

// TestProgressLooksAsThatOfPv after the end: what is there, and in which order.
func TestProgressLooksAsThatOfPv(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	const (
		bytes   = `3\.00MiB`
		timer   = `0:00:\d\d`
		rate    = `\[ *[\d.]+ ?[KMGT]?i?B/s\]`
		average = `[\[(] *[\d.]+ ?[KMGT]?i?B/s[\])]`
		bar     = `\[=+>? *\] 100%`
	)
	for _, c := range []struct {
		flags string
		shape string
	}{
		{"-n", `^(\d+\n)*100\n$`},
		{"-n -b", `^(\d+\n)*3145728\n$`},
		{"-n -t", `^([\d.]+ \d+\n)*[\d.]+ 100\n$`},
		{"-n -t -b", `^([\d.]+ \d+\n)*[\d.]+ 3145728\n$`},
		{"-n -s 6M", `^(\d+\n)*50\n$`},
		{"-f", bytes + " +" + timer + " +" + rate + " .*" + bar},
		{"-f -b", bytes},
		{"-f -t -b", bytes + " +" + timer},
		{"-f -t -b -r", bytes + " +" + timer + " +" + rate},
		{"-f -b -a", bytes + " +" + average},
		{"-f -p", bar},
		{"-f -b -N name", `name: +` + bytes},
		{"-f -s 6M -p", `\[=+> *\] +50%`},
		{"-f -F %b|%t|%p", bytes + `\|` + timer + `\|` + bar},
	} {
		flags := append([]string{"-w", "80"}, strings.Fields(c.flags)...)
		peers := copies(append(flags, "-", "-")...)
		for _, p := range append(peers, peer{"pv", append([]string{"pv"}, flags...)}) {
			t.Run(strings.Join(p.argv, " "), func(t *testing.T) {
				t.Parallel()
				got, says := p.filter(t, data)
				if diff := differ(got, data); diff != "" {
					t.Error(diff)
				}
				if !regexp.MustCompile(c.shape).MatchString(says) {
					t.Errorf("%q is not of the shape %s", says, c.shape)
				}
				for _, line := range strings.FieldsFunc(says, func(r rune) bool { return r == '\r' || r == '\n' }) {
					if len(line) > 80 {
						t.Errorf("a line of %d columns: %q", len(line), line)
					}
				}
			})
		}
	}
}

// TestTheSizeOfAFileIsKnown whether it is named, or is standard input: so -n tells percents.
func TestTheSizeOfAFileIsKnown(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	for _, p := range append(copies("-n", "in", "-"), peer{"pv", []string{"pv", "-n", "in"}}) {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "in"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			r := p.prepare(t, dir)
			out, w := pipe(t)
			r.Stdout = w
			through := collect(out)
			if status := r.begin().end(); status != 0 || !strings.HasSuffix("\n"+r.stderr.String(), "\n100\n") {
				t.Errorf("status %d; it said %q", status, r.stderr.String())
			}
			if diff := differ(through.all(t), data); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNothingComesOutBeforeTheWatermark feeds a buffer of 1 MiB step by step: it begins to write at 75 % full, and once
// the source has ended all comes, however little that is.
func TestNothingComesOutBeforeTheWatermark(t *testing.T) {
	t.Parallel()
	const step = 64 << 10
	peers := copies("-B", "1MiB", "--start-above", "75", "-", "-")
	for _, p := range append(peers, peer{"mbuffer", []string{"mbuffer", "-q", "-m", "1M", "-s", "64k", "-P", "75"}}) {
		for _, whole := range []int{3 << 20, 200_000} {
			t.Run(p.name+", "+strconv.Itoa(whole), func(t *testing.T) {
				t.Parallel()
				data := noise(whole)
				r := p.prepare(t, t.TempDir())
				in, w := pipe(t)
				out, stdout := pipe(t)
				fed := twin(t, in)
				r.Stdin, r.Stdout = in, stdout
				r.begin()
				begun := -1
				for at := 0; at < whole && begun < 0; at += step {
					if _, err := w.Write(data[at:min(at+step, whole)]); err != nil {
						t.Fatal(err)
					}
					until(t, "it has read that", func() bool { return held(t, fed) == 0 })
					if held(t, out) > 0 {
						begun = min(at+step, whole)
						feed(w, data[begun:])
					}
				}
				if begun < 0 {
					w.Close()
				}
				fed.Close()
				if begun >= 0 && begun < 3<<18 || begun < 0 && whole > 1<<20 {
					t.Errorf("it began to write after %d bytes", begun)
				}
				if diff := differ(collect(out).all(t), data); diff != "" {
					t.Error(diff)
				}
				if status := r.end(); status != 0 {
					t.Errorf("status %d; it said %q", status, r.stderr.String())
				}
			})
		}
	}
}
