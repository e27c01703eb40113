package constrain

// Walk searches the vocabulary behind a text, without what was remembered where cold, and returns which part of the
// work's bound that took.
func (m *Automaton) Walk(text string, cold bool) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cold {
		m.forget()
	}
	s := m.start
	for i := range len(text) {
		s = m.step(s, text[i])
	}
	m.search(s)
	return float64(m.work) / walkWork
}
