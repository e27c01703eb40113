package plot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/plot"
)

var charts = map[string]*plot.Chart{
	"latency": {
		Title: "Latency against loops", Desc: "Median latency of a request grows in a straight line with its loops.",
		X: plot.Axis{Label: "loops", Zero: true}, Y: plot.Axis{Label: "ms", Zero: true},
		Series: []plot.Series{
			{Name: "1 client", Points: []plot.Point{{1, 3.1, 2.9, 4}, {2, 5, 4.8, 5.6}, {4, 9.2, 9, 11}, {8, 17.4, 17, 19}}, NoLine: true},
			{Name: "fit: 1.0 + 2.05·loops", Points: []plot.Point{{X: 1, Y: 3.05}, {X: 8, Y: 17.4}}, NoMark: true, Dashed: true},
			{Name: "a name that is too long for the legend", Points: []plot.Point{{X: 1, Y: 12}, {X: 8, Y: math.NaN()}, {X: 8, Y: 40}}},
			{Name: "<&>", Points: []plot.Point{{X: 2, Y: 30}, {X: 4, Y: 31}}},
		},
	},
	"accuracy": {
		Title: "Accuracy against loops", Desc: "Accuracy rises and levels off.",
		X: plot.Axis{Label: "loops", Log2: true}, Y: plot.Axis{Label: "exact answers, %", Max: 100},
		Series: []plot.Series{{Name: "adder", Points: []plot.Point{{X: 1, Y: 0}, {X: 2, Y: 20}, {X: 4, Y: 96}, {X: 16, Y: 98}}}},
	},
	"throughput": {
		Title: "Throughput against concurrency", Desc: "A logarithmic axis; a value of zero is left out.",
		X: plot.Axis{Label: "clients", Log2: true}, Y: plot.Axis{Label: "tokens/s", Zero: true},
		Series: []plot.Series{{Name: "a", Points: []plot.Point{{X: 1, Y: 120}, {X: 4, Y: 430}, {X: 0, Y: 5}, {X: 16, Y: 700}}}},
	},
	"names": {
		Title: "Loops by difficulty", Desc: "Harder problems take more loops.",
		X: plot.Axis{Label: "difficulty", Names: []string{"2 terms", "3 terms", "4 terms"}}, Y: plot.Axis{Label: "mean loops", Zero: true},
		Series: []plot.Series{{Name: "delta 0.1", Points: []plot.Point{{X: 1, Y: 2.5}, {X: 2, Y: 3}, {X: 3, Y: 4.75}}}},
	},
	"empty": {Title: "Nothing yet", Desc: "No points.", X: plot.Axis{Label: "x"}, Y: plot.Axis{Label: "y"}},
}

func TestChartsAreAsDrawn(t *testing.T) {
	for name, c := range charts {
		got := c.SVG()
		file := filepath.Join("testdata", name+".svg")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: not as in %s; UPDATE_GOLDEN=1 rewrites it: then look at it", name, file)
		}
	}
}

// Whatever the numbers and names, the file is XML without NaN in it.
func TestChartsAreWellFormed(t *testing.T) {
	odd := &plot.Chart{
		Title: "]]> \x00 \xff", X: plot.Axis{Label: "x", Log2: true, Max: 10, Zero: true}, Y: plot.Axis{Label: "y", Log2: true},
		Series: []plot.Series{{Points: []plot.Point{{X: math.NaN(), Y: 1}, {X: math.Inf(1), Y: 2}, {X: 1e300, Y: 1e-300}, {X: 5, Y: 5, Low: -1, High: 7}}}},
	}
	same := &plot.Chart{Series: []plot.Series{{Points: []plot.Point{{X: 3, Y: 3}, {X: 3, Y: 3}}}}}
	for _, c := range []*plot.Chart{odd, same, charts["latency"], charts["empty"]} {
		svg := c.SVG()
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%q: a number is none: %s", c.Title, svg)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%q: %v", c.Title, err)
			}
		}
	}
}
