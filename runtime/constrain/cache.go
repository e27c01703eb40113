package constrain

import (
	"crypto/sha256"
	"slices"
	"sync"
)

// Cache keeps the automata of one vocabulary that were used last. It may be used from many goroutines.
type Cache struct {
	vocabulary func() *Vocabulary

	mu   sync.Mutex
	kept []cached // the last used in front, maxCached at most
}

type cached struct {
	key       [sha256.Size]byte
	automaton *Automaton
}

// NewCache makes a cache. The vocabulary is made when it is first needed.
func NewCache(vocabulary func() *Vocabulary) *Cache {
	return &Cache{vocabulary: sync.OnceValue(vocabulary)}
}

// Automaton returns the automaton of the form that name stands for, and makes it where it is not there. What two
// goroutines make at one time is made twice.
func (c *Cache) Automaton(name string, form func() (*Form, error)) (*Automaton, error) {
	key := sha256.Sum256([]byte(name))
	if m := c.use(key, nil); m != nil {
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
	return c.use(key, m), nil
}

// use returns what is kept under a key, after m is where nothing was.
func (c *Cache) use(key [sha256.Size]byte, m *Automaton) *Automaton {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.kept, func(k cached) bool { return k.key == key }); i >= 0 {
		m = c.kept[i].automaton
		c.kept = slices.Delete(c.kept, i, i+1)
	}
	if m != nil {
		c.kept = slices.Insert(c.kept, 0, cached{key, m})
		c.kept = c.kept[:min(len(c.kept), maxCached)]
	}
	return m
}
