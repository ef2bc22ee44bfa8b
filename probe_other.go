//go:build !linux

package penstock

import "errors"

// tryVerb says that there is nothing to try: this system has none of the verbs, or none that is used here.
func tryVerb(kernelVerb) Verb { return Verb{VerbRefused, errors.ErrUnsupported} }

// lookUp finds none of Linux's limits.
func (c *Capabilities) lookUp() { c.Files = -1 }

// errnoName has no names to give.
func errnoName(error) string { return "" }
