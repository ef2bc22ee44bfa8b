package relays

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/penstock-io/penstock/address"
)

// ReadFile reads the Config that a YAML file holds. Its error has a line for each thing that is wrong, with the place
// where that stands.
func ReadFile(path string) (Config, error) {
	text, err := readMost(path, mostConfig)
	if err != nil {
		return Config{}, err
	}
	return Parse(path, text)
}

// mostConfig is how many bytes of a Config are read: what has more is something else, such as /dev/zero.
const mostConfig = 1 << 20

func readMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: has more than %d bytes", path, most)
	}
	return text, err
}

// Parse is ReadFile of what has been read; the name is for errors.
func Parse(name string, text []byte) (Config, error) {
	f := file{name: name, config: Config{Access: Access{File: "-"}, Drain: DefaultDrain}}
	root, err := f.load(text)
	if err != nil {
		return Config{}, err
	}
	f.read(root)
	if len(f.errs) > 0 {
		return Config{}, f.wrong()
	}
	return f.config, nil
}

// file is one that is being read.
type file struct {
	name   string
	config Config
	errs   []*Error
}

// wrong returns all errors in the order in which they stand in the file, each once: what stands in the defaults is read
// for each relay.
func (f *file) wrong() error {
	slices.SortStableFunc(f.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	return joined(slices.CompactFunc(f.errs, func(a, b *Error) bool { return *a == *b }))
}

// load reads the YAML as such: one document.
func (f *file) load(text []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithV4Defaults())
	if err != nil {
		return nil, err
	}
	var doc, more yaml.Node
	if err := loader.Load(&doc); err == io.EOF || err == nil && len(doc.Content) == 0 {
		return nil, &Error{position{f.name, 1, 1}, "is empty: want relays"}
	} else if err != nil {
		return nil, f.syntax(err)
	}
	if err := loader.Load(&more); err == nil {
		return nil, &Error{f.at(&more), "want one document, and no other"}
	} else if err != io.EOF {
		return nil, f.syntax(err)
	}
	return doc.Content[0], nil
}

// syntax is an error of the parser's.
func (f *file) syntax(err error) error {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return &Error{position{f.name, max(e.Mark.Line, 1), max(e.Mark.Column, 1)}, e.Message}
}

// keysOfFile are those of the whole.
var keysOfFile = []string{"http", "access-log", "access-format", "drain", "defaults", "relays"}

// read takes the whole.
func (f *file) read(root *yaml.Node) {
	var defaults map[string][]Value
	var relays *yaml.Node
	for _, e := range f.entries(root, keysOfFile) {
		switch e.key {
		case "defaults":
			defaults = f.settings(e.value, false)
			for _, values := range defaults {
				for i := range values {
					values[i].general = true
				}
			}
			f.errs = append(f.errs, new(build).take(defaults)...)
		case "relays":
			relays = resolved(e.value)
		default:
			f.general(e)
		}
	}
	switch {
	case relays == nil:
		f.fail(root, "relays: is needed")
		return
	case relays.Kind != yaml.SequenceNode || len(relays.Content) == 0:
		f.fail(relays, "relays: want a list of them")
		return
	}
	for _, n := range relays.Content {
		values := f.settings(n, true)
		if values == nil {
			continue
		}
		for key, v := range defaults {
			if _, said := values[key]; !said {
				values[key] = v
			}
		}
		r, errs := newRelay(values, f.at(n))
		f.errs = append(f.errs, errs...)
		f.config.Relays = append(f.config.Relays, r)
	}
	f.errs = append(f.errs, checkTogether(f.config.Relays)...)
}

// general takes what is of no one relay.
func (f *file) general(e entry) {
	v, ok := f.scalar(e.key, e.value)
	if !ok {
		return
	}
	if err := f.config.Set(e.key, v.text); err != nil {
		f.errs = append(f.errs, v.wrong(err))
	}
}

// Set takes a setting that is of no one relay: http, access-log, access-format or drain.
func (c *Config) Set(name, text string) (err error) {
	switch name {
	case "http":
		if c.HTTP = text; text == "none" {
			c.HTTP = ""
			return nil
		}
		return address.CheckHostPort(text)
	case "access-log":
		if c.Access.File = text; text == "none" {
			c.Access.File = ""
		}
		return nil
	case "access-format":
		c.Access.JSON, err = oneOf(text, map[string]bool{"text": false, "json": true}, "text or json")
		return err
	case "drain":
		c.Drain, err = parseDuration(text)
		return err
	}
	panic("no setting " + name)
}

// settings takes what is said of one relay, or of all; nil is that it says nothing.
func (f *file) settings(n *yaml.Node, one bool) map[string][]Value {
	lists := make(map[string]bool)
	var keys []string
	for _, s := range all() {
		if !one && (s.Name == keyListen || s.Name == "name") {
			continue // which two relays cannot share
		}
		keys = append(keys, s.key())
		lists[s.key()] = s.List
	}
	if resolved(n).Kind != yaml.MappingNode {
		f.fail(n, "want keys with values: "+strings.Join(keys, ", "))
		return nil
	}
	values := make(map[string][]Value)
	for _, e := range f.entries(n, keys) {
		values[e.key] = nil // which is said, too
		if list := resolved(e.value); lists[e.key] && list.Kind == yaml.SequenceNode {
			for _, item := range list.Content {
				if v, ok := f.scalar(e.key, item); ok {
					values[e.key] = append(values[e.key], v)
				}
			}
		} else if v, ok := f.scalar(e.key, e.value); ok {
			values[e.key] = []Value{v}
		}
	}
	return values
}

// entry is a key and its value.
type entry struct {
	key   string
	value *yaml.Node
}

// entries returns those of a mapping that has only these keys, each once.
func (f *file) entries(n *yaml.Node, keys []string) (all []entry) {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		f.fail(n, "want keys with values: "+strings.Join(keys, ", "))
		return nil
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case !slices.Contains(keys, k.Value) || k.Kind != yaml.ScalarNode:
			f.fail(k, fmt.Sprintf("%s: no such key here: want one of %s", k.Value, strings.Join(keys, ", ")))
		case seen[k.Value]:
			f.fail(k, k.Value+": stands there twice")
		default:
			all = append(all, entry{k.Value, n.Content[i+1]})
		}
		seen[k.Value] = true
	}
	return all
}

// scalar takes the text of a value, as it stands there.
func (f *file) scalar(key string, n *yaml.Node) (v Value, ok bool) {
	at := n
	n = resolved(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		f.fail(at, key+": want one value")
	case n.ShortTag() == "!!null":
		f.fail(at, key+": has no value")
	default:
		return Value{at: f.at(at), name: key, text: n.Value}, true
	}
	return v, false
}

// resolved is what an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (f *file) at(n *yaml.Node) position { return position{f.name, n.Line, n.Column} }

func (f *file) fail(n *yaml.Node, text string) { f.errs = append(f.errs, &Error{f.at(n), text}) }
