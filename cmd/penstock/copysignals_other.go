//go:build !unix

package main

// whenAsked does nothing: no signal asks for the progress here.
func (j *copyJob) whenAsked(_, _ func()) (stop func()) { return func() {} }
