package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/evaluate"
)

// tell prints and writes what was found.
func (e *evaluation) tell(cmd *cobra.Command, curves []evaluate.Curve) error {
	table := tableTo(cmd, e.file)
	several := len(curves) > 1
	var reports []*evaluate.Report
	for i := range curves {
		c := &curves[i]
		prefix := e.svg
		if several {
			fmt.Fprintf(table, "%s\n\n", c.Title())
			prefix += "-" + c.Model
		}
		if err := evaluate.WriteTable(table, c.Points); err != nil {
			return err
		}
		if advice, ok := evaluate.Recommend(c.Points, e.maxLoss); ok {
			fmt.Fprintf(table, "\n%s\n\n", advice)
		}
		reports = append(reports, evaluate.NewReport(c.Model, c.Points, e.maxLoss))
		if e.svg != "" {
			if err := e.plots(prefix, c); err != nil {
				return err
			}
		}
	}
	if several && e.svg != "" {
		if err := writeBytes(e.svg+"-depth.svg", evaluate.DepthPlot(curves)); err != nil {
			return err
		}
	}
	return writeTo(cmd.OutOrStdout(), e.file, func(w io.Writer) error {
		if !several {
			return reports[0].WriteJSON(w)
		}
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"object": "list", "data": reports})
	})
}

func (e *evaluation) plots(prefix string, c *evaluate.Curve) error {
	err := writeBytes(prefix+"-accuracy.svg", evaluate.AccuracyPlot(c.Model, c.Points, e.logScale))
	if e.policies != "" {
		err = errors.Join(err, writeBytes(prefix+"-policies.svg", evaluate.PolicyPlot(c.Model, c.Points)),
			writeBytes(prefix+"-difficulty.svg", evaluate.DifficultyPlot(c.Model, c.Points)))
	}
	return err
}

// compare proves that drafts change nothing; it fails where they do.
func (e *evaluation) compare(cmd *cobra.Command, asker *evaluate.HTTP, list []evaluate.Problem) error {
	drafts, err := numbers("draft", e.drafts, 1)
	if err != nil {
		return err
	}
	bar := newBar(cmd.ErrOrStderr(), "asking")
	e.opt.Progress = func(done, total int) { bar.step(done, total, "asking") }
	found, err := evaluate.CompareDrafts(cmd.Context(), asker, e.most, drafts, e.opt, list)
	bar.end()
	if err != nil {
		return err
	}
	report := evaluate.NewReport(e.model, nil, e.maxLoss)
	report.Problems, report.Drafts = len(list), found
	if err := errors.Join(evaluate.WriteDrafts(tableTo(cmd, e.file), found), writeTo(cmd.OutOrStdout(), e.file, report.WriteJSON)); err != nil {
		return err
	}
	for _, d := range found {
		if d.Different > 0 {
			return errSaid
		}
	}
	return nil
}
