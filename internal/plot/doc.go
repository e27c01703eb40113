// Package plot draws small line and scatter charts as SVG: what a benchmark or an evaluation has to show, on a page, in a
// README or in a browser. A chart is text that depends on its numbers alone, so that it can be committed and compared.
// Colours follow the reader's light or dark scheme, series differ by mark as well as by colour, and title and
// description are there for screen readers.
//
// It has no dependency: gonum/plot brings fonts, PDF and raster back ends for what is three hundred lines here. It is no
// general plotting library: no bars, no dates, no legends to place.
package plot
