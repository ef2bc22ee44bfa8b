// Package pipes holds nothing but benchmarks: the pipes in memory that a Go program can choose from, side by side.
//
//	go test -bench . -count 6 ./pipes > pipes.out
//	go run golang.org/x/perf/cmd/benchstat@latest -col /pipe -row .name,/size pipes.out
//
// Each operation is one write of size bytes and the read of as many. BenchmarkSame does both on one goroutine, so it
// measures what the pipe itself costs; who cannot hold size bytes is not in it. BenchmarkTwo writes on one goroutine and
// reads on another, so it measures locks and wake-ups too. The size of a ring is 64 KiB where one is to be chosen, and
// 2 MiB where one goroutine writes 1 MiB.
//
// The peers are io.Pipe, os.Pipe, net.Pipe, nio, ringbuffer, and netpoll's LinkBuffer, which is not to be shared by two
// goroutines and takes no lock: it is no choice where a pipe is needed, and shows what the lock costs.
package pipes
