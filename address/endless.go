package address

import (
	crand "crypto/rand"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
)

// openZero opens the device where there is one, since that can be spliced.
func openZero() (*End, error) {
	f, err := os.Open("/dev/zero")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return endOf(zeros{}, nil, nothingToEnd{}), nil
	case err != nil:
		return nil, err
	}
	return endOf(f, nil, &fileEnding{file: f}), nil
}

// zeros reads as zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// openRandom makes bytes that nobody can foresee: ChaCha8 with a seed from the system. It is faster than the device.
func openRandom() *End {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails, as its doc says
	return endOf(rand.NewChaCha8(seed), nil, nothingToEnd{})
}
