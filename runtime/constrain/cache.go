package constrain

import (
	"container/list"
	"crypto/sha256"
	"sync"
)

// Cache keeps the automata of one vocabulary that were used last. It may be used from many goroutines.
type Cache struct {
	vocabulary func() *Vocabulary

	mu    sync.Mutex
	order list.List // of *cached, the last used in front
	known map[[sha256.Size]byte]*list.Element
}

type cached struct {
	key       [sha256.Size]byte
	automaton *Automaton
}

// NewCache makes a cache. The vocabulary is made when it is first needed.
func NewCache(vocabulary func() *Vocabulary) *Cache {
	return &Cache{vocabulary: sync.OnceValue(vocabulary), known: map[[sha256.Size]byte]*list.Element{}}
}

// Automaton returns the automaton of the form that name stands for, and makes it where it is not there. What two goroutines
// make at one time is made twice.
func (c *Cache) Automaton(name string, form func() (*Form, error)) (*Automaton, error) {
	key := sha256.Sum256([]byte(name))
	if m := c.find(key); m != nil {
		return m, nil
	}
	f, err := form()
	if err != nil {
		return nil, err
	}
	m, err := Compile(f, c.vocabulary())
	if err != nil {
		return nil, err
	}
	m.Prepare()
	c.keep(key, m)
	return m, nil
}

func (c *Cache) find(key [sha256.Size]byte) *Automaton {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known[key]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).automaton
}

func (c *Cache) keep(key [sha256.Size]byte, m *Automaton) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.known[key]; ok {
		return
	}
	c.known[key] = c.order.PushFront(&cached{key, m})
	for c.order.Len() > maxCached {
		old := c.order.Remove(c.order.Back()).(*cached)
		delete(c.known, old.key)
	}
}
