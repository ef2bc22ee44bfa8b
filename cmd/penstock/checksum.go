package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"strings"
)

// sumBuffer is how far the checksum may be behind the copy.
const sumBuffer = 8 << 20

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
	"crc32": func() hash.Hash { return crc32.NewIEEE() },
}

func sums() []string { return slices.Sorted(maps.Keys(hashes)) }

// checksum is a destination that keeps but a few bytes of what it gets.
type checksum struct {
	hash.Hash
	algorithm string
	file      string // empty for stderr
	bytes     int64  // that it is of
}

func (c *checksum) Write(b []byte) (int, error) {
	c.bytes += int64(len(b))
	return c.Hash.Write(b)
}

// parseSum reads ALGO or ALGO:FILE; empty is none.
func parseSum(text string) (algorithm, file string, err error) {
	if text == "" {
		return "", "", nil
	}
	algorithm, file, named := strings.Cut(text, ":")
	if hashes[algorithm] == nil {
		return "", "", fmt.Errorf("--sum %q: want %s", text, strings.Join(sums(), ", "))
	}
	if named && file == "" {
		return "", "", fmt.Errorf("--sum %q: no file behind the colon", text)
	}
	return algorithm, file, nil
}

func newChecksum(text string) *checksum {
	algorithm, file, _ := parseSum(text) // which has been checked
	return &checksum{Hash: hashes[algorithm](), algorithm: algorithm, file: file}
}

// tell says the checksum, as sha256sum does, and tells whether that could be done. A checksum of a part, which begins at
// from, names the part, and is not written to a file: there it would be taken for the whole's.
func (c *checksum) tell(j *copyJob, whole bool, from int64) bool {
	name := j.source.Redacted()
	if part := !whole || from > 0; part {
		j.say("%s %x  %d bytes of %s from byte %d on", c.algorithm, c.Sum(nil), c.bytes, name, from)
		if c.file != "" {
			j.say("--sum: %s is left as it is, since that is not all of it", c.file)
		}
		return true
	}
	line := fmt.Sprintf("%x  %s", c.Sum(nil), name)
	if c.file == "" {
		j.say("%s %s", c.algorithm, line)
		return true
	}
	if err := os.WriteFile(c.file, []byte(line+"\n"), 0o666); err != nil {
		j.say("--sum: %v", err)
		return false
	}
	return true
}
