package main

import (
	"fmt"
	"os"
)

// mostRecorded is how much a run that records has for a stream at most: disks are slow, and others need them too.
const mostRecorded = 4e9

// createRecording makes a file for a recording in dir. It has no name any more, so it goes with its descriptor.
func createRecording(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "fanout-recording")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkRecording fails unless the file has size bytes, those of the verified stream if it is that.
func checkRecording(f *os.File, size int64, pattern bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != size {
		return fmt.Errorf("the recording has %d bytes instead of %d", info.Size(), size)
	}
	if !pattern {
		return nil
	}
	b := make([]byte, drainBuffer)
	for off := int64(0); off < size; {
		n, err := f.ReadAt(b[:min(size-off, drainBuffer)], off)
		if err == nil {
			err = checkPattern(b[:n], off)
		}
		if err != nil {
			return fmt.Errorf("the recording: %w", err)
		}
		off += int64(n)
	}
	return nil
}
