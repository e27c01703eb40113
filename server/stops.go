package server

import "strings"

// stopper watches text that comes in pieces for stop strings. It holds back only what may yet become one.
type stopper struct {
	stops   []string
	include bool // the stop string is part of the answer
	held    string
}

// push takes a piece and returns what is certain. When a stop string is complete it is returned as hit, and text is
// what stands before it.
func (s *stopper) push(piece string) (text, hit string) {
	if len(s.stops) == 0 {
		return piece, ""
	}
	s.held += piece
	at := -1
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && (at < 0 || i < at) {
			at, hit = i, stop
		}
	}
	if at >= 0 {
		if s.include {
			at += len(hit)
		}
		text, s.held = s.held[:at], ""
		return text, hit
	}
	keep := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
				break
			}
		}
	}
	// Pieces and stop strings are valid UTF-8, so what is held back begins at a character.
	cut := len(s.held) - keep
	text, s.held = s.held[:cut], s.held[cut:]
	return text, ""
}

// flush ends the text.
func (s *stopper) flush() string {
	text := s.held
	s.held = ""
	return text
}
