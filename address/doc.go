// Package address opens where streams come from and go to, written as people write them: file:rec.ts?append,
// tcp://[::1]:9000?retry=5s, exec:gzip -c.
//
//	text ──Parse──▶ Address ──Check──▶ ──Open──▶ End ──▶ Reader, Writer ──▶ penstock.Copy ──▶ Finish or Close
//	                   ▲  │                 │
//	                   └──┴─ String         └─ Listen, Accept, Accept: an End for each connection
//
// [Parse] looks nothing up and touches nothing; what it takes, [Address.String] writes again. [Address.Check] tells
// what cannot be a source, or a destination, before anything has been opened. [Address.Open] waits for what has to be
// waited for (a connection, a peer of a FIFO, a handshake), and a context ends each of these waits.
//
// # Addresses
//
//   - standard input, standard output
//     fd:N                     a descriptor that the process was started with
//     file:PATH, PATH          a file, or a device; a FIFO is treated as one
//     fifo:PATH                a FIFO
//     tcp://HOST:PORT          a connection; HOST:PORT is short for it
//     tcp-listen://HOST:PORT   a connection that somebody else makes; :PORT is every interface
//     unix:PATH                a connection to a Unix socket; @NAME is an abstract one of Linux
//     unix-listen:PATH         a connection that somebody makes to it
//     tls://HOST:PORT          a connection with TLS
//     tls-listen://HOST:PORT   and one that somebody else makes
//     udp://HOST:PORT          datagrams to there
//     udp-listen://HOST:PORT   datagrams that arrive there; if HOST is a multicast group, it is joined
//     http://…, https://…      a GET; as a destination a PUT
//     exec:COMMAND             what a command writes; as a destination what it reads
//     null:                    nothing, and where to put it
//     zero:, random:           zeros, random bytes, without end
//
// A PATH with a scheme may be percent-encoded: file:a%3Fb. Without one it is taken as it is, and has no options. What
// has a slash, or no colon, is a path; so ./a:1 is a file, and a:1 a host.
//
// Options stand behind a question mark, with & between them: tcp://host:9000?timeout=2s&nodelay=false. Those of exec
// stand before its colon, since what is behind it is the shell's: exec?on-slow=skip:ffprobe -. So may those of http and
// https, and then the query is all the server's: http?timeout=5s://host/?timeout=1; behind the question mark, what is
// called like an option is one.
//
// # Ends
//
// The Reader and the Writer of an [End] are the bare *os.File, *net.TCPConn and *net.UnixConn wherever their bytes are
// the stream, so that they can be spliced. [End.Finish] is for when all has been moved: it sees to it that what was
// sent is not cut off, and it is where a command's status and a server's answer come out. [End.Close] is for all other
// cases, and lets nobody take what was cut short for the whole.
//
// # Errors
//
// Every error is an [*Error], which names the address and the part that is wrong, if it is one part, and says once why.
//
// # Who should use something else
//
// A program that knows what it opens is better off with os, net, crypto/tls and net/http: this package is for when a
// person says what to open.
package address
