package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Request is what a running copy is asked for. What is nil stays as it is; not all may be.
type Request struct {
	Rate     *int64         `json:"rate,omitempty"`     // limit in bytes per second, 0 for none
	Size     *int64         `json:"size,omitempty"`     // bytes that there will be
	Name     *string        `json:"name,omitempty"`     // what stands in front of its lines
	Interval *time.Duration `json:"interval,omitempty"` // between two of them, in nanoseconds
	Report   bool           `json:"report,omitempty"`   // the answer is to say how it stands
}

// Response is the answer. The zero Response says that all has been done.
type Response struct {
	Error  string          `json:"error,omitempty"`  // why nothing has been done
	Report json.RawMessage `json:"report,omitempty"` // if it was asked for; its form is the handler's
}

const (
	mostRequest  = 16 << 10
	mostResponse = 1 << 20
	mostName     = 500 // bytes
)

func (r *Request) check() error {
	switch {
	case r.Rate == nil && r.Size == nil && r.Name == nil && r.Interval == nil && !r.Report:
		return errors.New("asks for nothing")
	case r.Rate != nil && *r.Rate < 0:
		return fmt.Errorf("rate %d is less than nothing", *r.Rate)
	case r.Size != nil && *r.Size < 0:
		return fmt.Errorf("size %d is less than nothing", *r.Size)
	case r.Interval != nil && *r.Interval <= 0:
		return fmt.Errorf("interval %v is none", *r.Interval)
	case r.Name != nil && len(*r.Name) > mostName:
		return fmt.Errorf("name of %d bytes, more than %d", len(*r.Name), mostName)
	}
	return nil
}

// receive reads all that a peer has to say and decodes it: one object, all of whose fields are known. Its error is
// io.EOF if that is nothing.
func receive(r io.Reader, most int64, v any) error {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return err
	case len(b) == 0:
		return io.EOF
	case int64(len(b)) > most:
		return fmt.Errorf("more than %d bytes", most)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one object")
	}
	return nil
}
