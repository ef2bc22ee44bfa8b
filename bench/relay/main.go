// Command relay measures penstock relay beside HAProxy, nginx's streams, socat and a relay of io.Copy.
//
// Measured are streams, round trips, short connections, what idle connections hold, and what mirrors cost. The relay,
// the server and the client are processes of their own, so the CPU time is the relay's alone. Rounds are interleaved,
// figures are medians, and ratios are taken within a round before their median.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/program"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/rounds"
)

func main() {
	if role.Mine() != "" {
		role.Exit("server", playServer(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)))
	}
	role.Exit("relay", measureAll())
}

func measureAll() error {
	s := rounds.Settings{Rounds: 5, Quiet: 0.3, Attempts: 3, Budget: 15 * time.Minute}
	s.Declare(flag.CommandLine)
	s.DeclareCases(flag.CommandLine)
	var (
		size       = flag.Int64("size", 1000, "MB of each stream, or of several together")
		lasts      = flag.Duration("time", 500*time.Millisecond, "how long everything else lasts")
		conns      = flag.Int("idle", 500, "how many idle connections there are")
		among      = flag.String("kinds", "", "measure only the relays whose names this regular expression matches")
		congestion = flag.String("congestion", "reno", "congestion control of all sockets; empty is the system's")
		penstock   = program.Flag(flag.CommandLine)
	)
	if err := s.Parse(flag.CommandLine, os.Args[1:]); err != nil {
		return err
	}
	if *size < 1 || *lasts <= 0 || *conns < 1 {
		return fmt.Errorf("-size %d, -time %v, -idle %d: want more than 0", *size, *lasts, *conns)
	}
	kinds, err := regexp.Compile(*among)
	if err != nil {
		return fmt.Errorf("-kinds: %w", err)
	}
	chosen, err := rounds.Chosen(s, os.Stdout, comparisons())
	if err != nil || s.List {
		return err
	}
	if again, err := inNetworkOfItsOwn(*congestion); again || err != nil {
		return err
	}
	if *congestion, err = congestionControl(); err != nil {
		return err
	}
	if _, err := machine.AllowDescriptors(8**conns + nginxConnections); err != nil {
		return err
	}
	missing := make(map[string]bool)
	for i := range chosen {
		chosen[i].Kinds = present(chosen[i].Kinds, kinds, missing)
	}
	chosen = slices.DeleteFunc(chosen, func(c comparison) bool { return len(c.Kinds) == 0 })
	w, err := newWorkplace(*penstock)
	if err != nil {
		return err
	}
	defer w.remove()
	if err := w.verify(chosen); err != nil {
		return err
	}
	m := measurer{w, extent{*size * 1e6, *lasts, *conns}}
	results, err := rounds.Measure(s, chosen, m.measure, rounds.Show)
	if err != nil {
		return err
	}
	if !s.Markdown {
		return rounds.PrintGoals(os.Stdout, results)
	}
	return printReport(os.Stdout, m.extent, *congestion, s.Quiet, results)
}
