package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// tree is docs/ without its folders: a page more is a fact in two places, or one that belongs on a page that there is.
var tree = []string{
	"api.md", "benchmarks.md", "bring-your-own.md", "bundle-format.md", "depth.md", "development.md", "export.md", "models.md",
	"operations.md", "paper.md", "parity.md", "quickstart.md",
}

func pages(t *testing.T) map[string]*Page {
	t.Helper()
	all, err := Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]*Page{}
	for _, p := range all {
		byPath[p.Path] = p
	}
	return byPath
}

// target is the file and the fragment of a link within the repository.
func target(p *Page, l Link) (file, fragment string, here bool) {
	if strings.Contains(l.Target, "://") || strings.HasPrefix(l.Target, "mailto:") {
		return "", "", false
	}
	file, fragment, _ = strings.Cut(l.Target, "#")
	switch {
	case file == "":
		file = p.Path
	case strings.HasPrefix(file, "/"): // GitHub's root is the repository's
		file = path.Clean(file[1:])
	default:
		file = path.Join(path.Dir(p.Path), file)
	}
	return file, fragment, true
}

func TestLinks(t *testing.T) {
	byPath := pages(t)
	checked := 0
	for _, p := range byPath {
		for _, l := range p.Links {
			file, fragment, here := target(p, l)
			if !here {
				continue
			}
			checked++
			if _, err := os.Stat(filepath.Join(root, file)); err != nil || strings.HasPrefix(file, "..") {
				t.Errorf("%s:%d: %s is not there", p.Path, l.Line, l.Target)
				continue
			}
			if to := byPath[file]; to != nil && fragment != "" && !to.Anchor[fragment] {
				t.Errorf("%s:%d: %s has no heading of that name", p.Path, l.Line, l.Target)
			}
		}
	}
	if checked < 100 {
		t.Errorf("%d links were checked: are they still read?", checked)
	}
}

// The tree is the one that was meant, and a reader who begins with README comes to every page of it.
func TestTree(t *testing.T) {
	byPath := pages(t)
	if n := strings.Count(byPath["README.md"].Text, "\n"); n > 120 {
		t.Errorf("README.md has %d lines, more than 120", n)
	}
	reached := map[string]bool{"README.md": true}
	for queue := []string{"README.md"}; len(queue) > 0; queue = queue[1:] {
		p := byPath[queue[0]]
		for _, l := range p.Links {
			if file, _, here := target(p, l); here && byPath[file] != nil && !reached[file] {
				reached[file] = true
				queue = append(queue, file)
			}
		}
	}
	var found []string
	for name := range byPath {
		if dir, _, _ := strings.Cut(name, "/"); !reached[name] && (dir == "docs" || dir == name) {
			t.Errorf("%s: no way leads here from README.md", name)
		}
		if path.Dir(name) == "docs" {
			found = append(found, path.Base(name))
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, tree) {
		t.Errorf("docs/ has the pages\n%v, want\n%v", found, tree)
	}
}

// source is a code span that names a file, a folder or a package of this repository.
var source = regexp.MustCompile(`^(?:\./)?(?:cmd|configs|deploy|docs|internal|loopctl|models|runtime|scripts|server|tokenizer)/[\w./*-]*$|^[\w-]+\.(?:go|md|c|h|sh|py|json|yaml)$`)

// symbol is what a package's path is followed by, as in loopctl/kv.Pages.
var symbol = regexp.MustCompile(`^(.*/[\w-]+)\.[A-Z].*$`)

// placeholder is a part of a path that stands for any.
var placeholder = regexp.MustCompile(`/[A-Z]+\b`)

// What docs/development.md names is where it says: files, folders, packages, and files by their name alone.
func TestDevelopmentNamesWhatThereIs(t *testing.T) {
	p := pages(t)["docs/development.md"]
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == ".cache" || d.Name() == "out") {
			return filepath.SkipDir
		}
		names[path.Base(filepath.ToSlash(name))] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, s := range p.Spans {
		if !source.MatchString(s) {
			continue
		}
		checked++
		name := symbol.ReplaceAllString(strings.TrimSuffix(strings.TrimPrefix(s, "./"), "/..."), "$1")
		if !strings.Contains(name, "/") {
			if !names[name] {
				t.Errorf("%s: `%s` is nowhere", p.Path, s)
			}
			continue
		}
		if found, err := filepath.Glob(filepath.Join(root, placeholder.ReplaceAllString(name, "/*"))); err != nil || len(found) == 0 {
			t.Errorf("%s: `%s` is not there", p.Path, s)
		}
	}
	if checked < 20 {
		t.Errorf("%d names were checked: are they still read?", checked)
	}
}
