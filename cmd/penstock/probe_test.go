package main

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
)

// TestWhatAProbeLooksLike, where all is well, where little is, and where there are no kernel pipes at all.
func TestWhatAProbeLooksLike(t *testing.T) {
	works := penstock.Verb{State: penstock.VerbWorks}
	refused := penstock.Verb{State: penstock.VerbRefused, Err: syscall.EPERM}
	nothing := penstock.Verb{State: penstock.VerbRefused, Err: errors.ErrUnsupported}
	for name, c := range map[string]struct {
		found penstock.Capabilities
		want  string
	}{
		"all": {
			penstock.Capabilities{
				OS: "linux", Arch: "amd64", Kernel: "6.18.0",
				Splice: works, Tee: works, Vmsplice: works, Sendfile: works, CopyFileRange: works,
				Pipes:    penstock.Pipes{MaxSize: 1 << 20, Soft: 16384, Default: 64 << 10, Largest: 1 << 20},
				PageSize: 4096, Files: 1024, Proc: true,
			}, `
linux/amd64, kernel 6.18.0

VERB             HERE   THEREFORE
splice           works  pipes, sockets and files exchange bytes in the kernel
tee              works  one stream goes to many without a copy
vmsplice         works  memory can be lent to a kernel pipe, if asked for
sendfile         works  a file goes to a socket without a pipe of ours
copy_file_range  works  a file goes to a file, by reference if the disk can

LIMIT                 HERE
new pipe              64 KiB, can grow to 1.0 MiB
pipe-max-size         1.0 MiB
pipe-user-pages-soft  16384 pages, 64 MiB
pipe-user-pages-hard  none
open files            1024
`,
		},
		"little": {
			penstock.Capabilities{
				OS: "linux", Arch: "arm64", Kernel: "6.18.0",
				Splice: refused, Tee: refused, Vmsplice: refused, Sendfile: refused,
				CopyFileRange: penstock.Verb{Err: syscall.EMFILE},
				Pipes: penstock.Pipes{
					MaxSize: -1, Soft: -1, Hard: -1, Default: 8192, Largest: 8192, OverSoft: true,
				},
				PageSize: 4096,
			}, `
linux/arm64, kernel 6.18.0

VERB             HERE                              THEREFORE
splice           refused: operation not permitted  bytes go through memory instead
tee              refused: operation not permitted  many share the pages of a pipe in memory instead
vmsplice         refused: operation not permitted  memory is copied into kernel pipes instead
sendfile         refused: operation not permitted  a file goes through a pipe instead
copy_file_range  untried: too many open files      whoever uses it will find out

LIMIT                 HERE
new pipe              8.0 KiB only: this user's pipes have reached the soft limit
pipe-max-size         unknown: /proc cannot be read
pipe-user-pages-soft  unknown: /proc cannot be read
pipe-user-pages-hard  unknown: /proc cannot be read
open files            none
`,
		},
		"none": {
			penstock.Capabilities{
				OS: "plan9", Arch: "386", PageSize: 4096, Files: -1,
				Splice: nothing, Tee: nothing, Vmsplice: nothing, Sendfile: nothing, CopyFileRange: nothing,
			}, `
plan9/386

VERB             HERE                            THEREFORE
splice           refused: unsupported operation  bytes go through memory instead
tee              refused: unsupported operation  many share the pages of a pipe in memory instead
vmsplice         refused: unsupported operation  memory is copied into kernel pipes instead
sendfile         refused: unsupported operation  a file goes through a pipe instead
copy_file_range  refused: unsupported operation  a file goes through a pipe instead
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			printCapabilities(&got, c.found)
			if want := strings.TrimPrefix(c.want, "\n"); got.String() != want {
				t.Errorf("got\n%s\nwant\n%s", &got, want)
			}
		})
	}
}
