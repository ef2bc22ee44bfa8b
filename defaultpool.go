package penstock

import "sync"

var defaultPool = sync.OnceValue(func() *Pool { return NewPool(0) })
