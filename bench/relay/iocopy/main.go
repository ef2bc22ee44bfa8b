// Command iocopy is a relay as Go programs have it: io.Copy each way, in a goroutine for each direction.
//
//	iocopy LISTEN TARGET [MIRROR]
//
// With a MIRROR what clients send is copied to an io.MultiWriter of the target and a connection to that, which then can
// hold up the relay.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: iocopy LISTEN TARGET [MIRROR]")
		os.Exit(2)
	}
	fmt.Fprintf(os.Stderr, "iocopy: %v\n", serve(os.Args[1], os.Args[2], os.Args[3:]))
	os.Exit(1)
}

// serve relays until it cannot accept any more, and returns why.
func serve(listen, target string, mirrors []string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := relay(c.(*net.TCPConn), target, mirrors); err != nil {
				fmt.Fprintf(os.Stderr, "iocopy: %v\n", err)
			}
		}()
	}
}

func relay(client *net.TCPConn, target string, mirrors []string) error {
	defer client.Close()
	c, err := net.Dial("tcp", target)
	if err != nil {
		return err
	}
	server := c.(*net.TCPConn)
	defer server.Close()
	var back error
	var both sync.WaitGroup
	both.Go(func() { back = one(client, server, nil) })
	err = one(server, client, mirrors)
	both.Wait()
	if err == nil {
		err = back
	}
	return err
}

// one copies one direction to its end, which it passes on.
func one(to, from *net.TCPConn, mirrors []string) error {
	defer to.CloseWrite() // an error means that it is closed already
	if len(mirrors) == 0 {
		_, err := io.Copy(to, from)
		return err
	}
	all := []io.Writer{to}
	for _, m := range mirrors {
		c, err := net.Dial("tcp", m)
		if err != nil {
			return err
		}
		defer c.Close()
		all = append(all, c)
	}
	_, err := io.Copy(io.MultiWriter(all...), from)
	return err
}
