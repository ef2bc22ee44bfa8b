package recording

import "os"

// What the tests put in the place of the disk, before the first data, and what they look at.

func (r *Recording) HookSync(f func(*os.File) error)  { r.sync = f }
func (r *Recording) HookClose(f func(*os.File) error) { r.shut = f }

// Kept returns how many places and how many marks are in memory.
func (r *Recording) Kept() (known, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks.mu.Lock()
	defer r.marks.mu.Unlock()
	return len(r.state.places.all), len(r.marks.queue)
}

const (
	MaxPlaces = maxPlaces
	MaxMarks  = maxMarks
)
