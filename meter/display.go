package meter

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"
)

// Mode is whom a Display is for.
type Mode uint8

// The modes. Quiet ones write only what they are told to: [Display.Say] and [Display.Print].
const (
	Lines   Mode = iota // people: a line for each transfer
	Numeric             // a program: numbers, one a line, as of pv -n
	JSON                // a program: a [Report] a line
	Quiet               // nobody
)

// Config says what a Display shows, and how. The zero Config shows all parts as pv -f does, without a terminal.
type Config struct {
	Mode   Mode
	Screen Screen // the terminal that is written to; nil for none: then there is no drawing in place

	Parts  Parts  // what a line consists of; of Numeric, Timer, Bytes and Rate ask for those
	Format string // pv's -F, instead of the Parts
	Width  int    // columns; 0 for those of the screen, or 80

	Name     string           // stands in front of each line
	Interval time.Duration    // between two draws; 0 for a second
	Wait     bool             // shows nothing until the first byte has moved, and counts the time from there on
	Now      func() time.Time // for when a transfer will be over; nil for time.Now
}

// Screen is a terminal, or a test's.
type Screen interface {
	Size() (columns, rows int) // asked at each draw; 0 if not known
	Foreground() bool          // whether it is ours to draw on now
}

// Display shows how transfers are getting on. Its methods may be called from any goroutine. They write to a Writer,
// and wait for that; an error of it ends all writing, and is what [Display.End] returns.
type Display struct {
	mu      sync.Mutex
	w       io.Writer
	err     error
	c       Config
	layout  layout
	past    []*rates // by transfer
	late    time.Duration
	waiting bool // for the first byte
	ended   bool
	screen  drawing
	retime  chan struct{} // the interval has changed
}

// New returns a Display that has written nothing yet. Its error is a *FormatError.
func New(w io.Writer, c Config) (*Display, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	d := &Display{w: w, c: c, waiting: c.Wait, retime: make(chan struct{}, 1)}
	d.screen.terminal = c.Screen != nil
	d.layout = layout{segments: partsOf(c.Parts), fit: true, now: c.Now}
	if c.Format != "" {
		segments, err := parse(c.Format)
		if err != nil {
			return nil, err
		}
		d.layout = layout{segments: segments, now: c.Now}
	}
	return d, nil
}

// Run shows the states at each interval until the context is done. The first time is after an interval, so that
// what is over quickly is shown once, at its end.
func (d *Display) Run(ctx context.Context, states func() []State) {
	for {
		timer := time.NewTimer(d.interval())
		select {
		case <-timer.C:
			d.Show(states())
		case <-d.retime:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

func (d *Display) interval() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.c.Interval <= 0 {
		return time.Second
	}
	return d.c.Interval
}

// SetInterval changes the time between two draws of Run, from now on; 0 is a second.
func (d *Display) SetInterval(i time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.c.Interval = i
	select {
	case d.retime <- struct{}{}:
	default: // one is on its way
	}
}

// SetName changes what stands in front of each line, from the next draw on.
func (d *Display) SetName(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.c.Name = name
}

// Show draws once. States of one transfer have the same index each time; there may be more of them than before.
// After End it does nothing.
func (d *Display) Show(states []State) { d.show(states, false) }

// End draws a last time, and leaves it standing. It returns the first error of the Writer there was.
func (d *Display) End(states []State) error {
	d.show(states, true)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *Display) show(states []State, last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	if d.awaitsLocked(states) {
		if !last {
			return
		}
		d.late = 0 // it was for nothing
	}
	d.ended = last
	all := d.observeLocked(states)
	switch d.c.Mode {
	case Numeric:
		if line := numeric(all, d.c.Parts); line != "" {
			d.writeLocked(line + "\n")
		}
	case JSON:
		d.writeLocked(string(object(reportOf(d.c.Name, all, last))))
	case Lines:
		d.drawLocked(all, last)
	}
}

// awaitsLocked tells whether there is nothing to be shown yet, and how late it has become meanwhile.
func (d *Display) awaitsLocked(states []State) bool {
	if !d.waiting {
		return false
	}
	elapsed := time.Duration(0)
	for _, s := range states {
		if s.Bytes > 0 {
			d.waiting = false
			return false
		}
		elapsed = max(elapsed, s.Elapsed)
	}
	d.late = elapsed
	return true
}

func (d *Display) observeLocked(states []State) []figures {
	all := make([]figures, len(states))
	for i, s := range states {
		if i == len(d.past) {
			d.past = append(d.past, &rates{})
		}
		all[i] = d.past[i].observe(since(s, d.late))
	}
	return all
}

// linesLocked shows each transfer in so many columns.
func (d *Display) linesLocked(all []figures, width int) []string {
	names := make([]string, len(all))
	l := d.layout
	l.named = leastNamed
	for i, f := range all {
		names[i] = Clean(d.c.Name)
		if len(all) > 1 {
			names[i] = strings.TrimPrefix(names[i]+" "+Clean(f.Name), " ")
		}
		l.named = max(l.named, columns(names[i]))
	}
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = l.line(f, names[i], width)
	}
	return lines
}

// size is how much room there is; of rows 0 is any number.
func (d *Display) size() (columns, rows int) {
	if d.c.Screen != nil {
		columns, rows = d.c.Screen.Size()
	}
	if d.c.Width > 0 {
		columns = d.c.Width
	}
	if columns <= 0 {
		columns = 80
	}
	return columns, rows
}

// Say writes lines that stay, above those that are drawn, and makes what is in them harmless. In JSON they are an
// object {"message": …}.
func (d *Display) Say(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text = strings.TrimSuffix(text, "\n")
	if d.c.Mode == JSON {
		d.writeLocked(string(object(struct {
			Message string `json:"message"`
		}{text})))
		return
	}
	d.sayLocked(strings.Split(text, "\n"))
}

// Print writes how all transfers stand, in lines that stay, or as a [Report] in JSON, whatever it is that Show
// shows. It is what SIGUSR1 asks for.
func (d *Display) Print(states []State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.observeLocked(states)
	if d.c.Mode == JSON {
		d.writeLocked(string(object(reportOf(d.c.Name, all, d.ended))))
		return
	}
	width, _ := d.size()
	d.sayLocked(d.linesLocked(all, width))
}

// Report returns how all transfers stand, as JSON, for somebody else than who reads what is shown. It ends with a
// newline.
func (d *Display) Report(states []State) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return object(reportOf(d.c.Name, d.observeLocked(states), d.ended))
}

func (d *Display) sayLocked(lines []string) {
	var b strings.Builder
	d.screen.clear(&b)
	for _, line := range lines {
		b.WriteString(Clean(line) + d.screen.newline())
	}
	d.screen.restore(&b)
	d.writeLocked(b.String())
}

// Anew makes the next draw begin on a new line: somebody else has written to the terminal meanwhile, such as a
// shell while we were stopped (SIGCONT).
func (d *Display) Anew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.screen.forget()
}

func (d *Display) drawLocked(all []figures, last bool) {
	columns, rows := d.size()
	if d.c.Screen != nil && !d.c.Screen.Foreground() {
		d.screen.forget() // a shell has the terminal, and its prompt stands where we would draw
		if !last {
			return
		}
	}
	lines := d.linesLocked(all, columns)
	var b strings.Builder
	d.screen.draw(&b, lines, columns, rows, last)
	d.writeLocked(b.String())
}

// writeLocked writes at once what belongs together, so that a terminal does not show half of it.
func (d *Display) writeLocked(s string) {
	if d.err != nil || s == "" {
		return
	}
	_, d.err = io.WriteString(d.w, s)
}
