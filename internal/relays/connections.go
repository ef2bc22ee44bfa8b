package relays

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/penstock-io/penstock/relay"
)

// connections are some of those that there are.
type connections struct {
	Total int          `json:"total"` // that are open, of the relay that was asked for
	Some  []connection `json:"connections"`
}

// connection is one of a relay.
type connection struct {
	relay.Record
	Listener string `json:"listener"` // the relay's key: others may have its name
}

// choice says which connections are wanted.
type choice struct {
	relay string // of this name; empty is any
	limit int    // so many at most; 0 is all
	busy  bool   // those that have moved most bytes first, rather than those that came last
}

// defaultLimit is how many connections are told of unless somebody asks for more: a list of thousands is megabytes.
const defaultLimit = 200

// parseChoice reads ?relay=NAME, ?limit=N and ?sort=recent or bytes.
func parseChoice(query url.Values) (c choice, err error) {
	c = choice{relay: query.Get("relay"), limit: defaultLimit}
	if query.Has("limit") {
		if c.limit, err = parseLimit(query.Get("limit")); err != nil {
			return c, err
		}
	}
	switch query.Get("sort") {
	case "", "recent":
	case "bytes":
		c.busy = true
	default:
		return c, errors.New("sort: want recent or bytes")
	}
	return c, nil
}

func parseLimit(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, errors.New("limit: want a number, or 0 for all")
	}
	return n, nil
}

// connections returns how those stand that were chosen.
func (s *Set) connections(c choice) connections {
	found := connections{Some: []connection{}}
	for _, one := range s.all() {
		if c.relay != "" && one.spec.Config.Name != c.relay {
			continue
		}
		limit := c.limit
		if c.busy {
			limit = 0 // nobody knows which before all have been looked at
		}
		records, open := one.relay.Newest(limit)
		found.Total += open
		for _, r := range records {
			found.Some = append(found.Some, connection{r, one.key()})
		}
	}
	slices.SortFunc(found.Some, func(a, b connection) int {
		if c.busy {
			if by := cmp.Compare(b.Forward+b.Backward, a.Forward+a.Backward); by != 0 {
				return by
			}
		}
		return cmp.Compare(b.ID, a.ID)
	})
	if c.limit > 0 && len(found.Some) > c.limit {
		found.Some = found.Some[:c.limit]
	}
	return found
}

// count counts the connections of all relays.
func (s *Set) count() (n int) {
	for _, one := range s.all() {
		n += one.relay.Open()
	}
	return n
}
