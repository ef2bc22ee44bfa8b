package hub

import "github.com/penstock-io/penstock"

// A kernel pipe's bytes are not copied, but each reader pays for each slot, and a socket's messages have a slot each: of
// 1,400 bytes a copy costs less than the reference. So small runs, and runs that use up the slots of a pipe before its
// bytes, are read into memory, from where the sinks are written to.

const (
	tinyRun = 8 << 10 // of so few bytes a copy costs less than tee and splice
	copyRun = 1 << 20 // the most that is copied at once: less of a backlog at a time costs a third of the rate

	evidence    = 8    // runs that speak for the other way, before it is taken
	mostPatient = 1024 // runs, at most, before kernel pipes are tried again
)

// judge says which way the next run is to come in.
type judge struct {
	copies   bool // into memory
	against  int  // runs that speak for the other way
	patience int  // how many it takes to try kernel pipes again; 0 is as few as for the first time
	lasting  int  // runs that spoke for kernel pipes, in a row
	calm     bool // the last run was tiny, and there was nothing to be read before it: so it will be again
}

// judge looks at a run of n bytes that was read into p. waited says that there was nothing to be read just before.
func (j *judge) judge(p penstock.Conduit, n int, waited bool) {
	kp, kernel := p.(*penstock.KernelPipe)
	j.calm = waited && n <= tinyRun
	switch {
	case j.copies:
		if n > tinyRun {
			j.against++
		} else {
			j.against = max(0, j.against-1)
		}
		if j.against >= max(j.patience, evidence) {
			j.copies, j.against = false, evidence-2 // soon back, if it is as it was
		}
	case !kernel:
	case n <= tinyRun, !waited && n < kp.Cap()/2 && kp.Full():
		j.lasting = 0
		if j.against++; j.against >= evidence {
			j.copies, j.against = true, 0
			j.patience = min(max(2*j.patience, evidence), mostPatient)
		}
	default:
		j.against = 0
		if j.lasting++; j.lasting > mostPatient {
			j.patience = 0
		}
	}
}
