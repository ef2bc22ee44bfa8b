package live

import (
	"fmt"
	"regexp"
)

var namePattern = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)

// CheckName tells what is wrong with a stream's name. Names become directories under the record directory, so those
// that mean another directory are none.
func CheckName(name string) error {
	if !namePattern.MatchString(name) || name == "." || name == ".." {
		return fmt.Errorf("stream name %q: want 1 to 64 of a-z, 0-9, '.', '_' and '-'", name)
	}
	return nil
}
