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
		found.add(&one, limit)
	}
	found.sort(c.busy)
	if c.limit > 0 && len(found.Some) > c.limit {
		found.Some = found.Some[:c.limit]
	}
	return found
}

// fairly returns how so many connections stand at most, those that came last of each relay: one that has many leaves
// others room for theirs.
func (s *Set) fairly(limit int) connections {
	found := connections{Some: []connection{}}
	relays := s.all()
	open := make([]int, len(relays))
	for i, one := range relays {
		open[i] = one.relay.Open()
		found.Total += open[i]
	}
	for i, n := range shares(open, limit) {
		if n > 0 {
			found.add(&relays[i], n)
			found.Total -= open[i] // add counts them as they are now
		}
	}
	found.sort(false)
	return found
}

// shares divides what there is among those who want some: who wants little gets it, and the rest have equal shares.
func shares(want []int, have int) []int {
	order := make([]int, len(want))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(want[a], want[b]) })
	all := make([]int, len(want))
	for rank, i := range order {
		all[i] = min(want[i], have/(len(order)-rank))
		have -= all[i]
	}
	return all
}

// add adds those of a relay that came last, so many at most, or all if the limit is 0.
func (c *connections) add(one *running, limit int) {
	records, open := one.relay.Newest(limit)
	c.Total += open
	for _, r := range records {
		c.Some = append(c.Some, connection{r, one.key()})
	}
}

// sort puts those first that came last, or those that have moved most.
func (c *connections) sort(busy bool) {
	slices.SortFunc(c.Some, func(a, b connection) int {
		if busy {
			if by := cmp.Compare(b.Forward+b.Backward, a.Forward+a.Backward); by != 0 {
				return by
			}
		}
		return cmp.Compare(b.ID, a.ID)
	})
}

// count counts the connections of all relays.
func (s *Set) count() (n int) {
	for _, one := range s.all() {
		n += one.relay.Open()
	}
	return n
}
