// Package host says how many processors and how much memory this process may use: the machine's, or less where its control
// groups bound it, as in a container. It reads files and decides nothing.
package host

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Limits are what the process may use.
type Limits struct {
	CPUs     int     // threads that can run at one time: the affinity, or the quota rounded up
	Affinity int     // processors that the process may run on
	Quota    float64 // of the control group, in processors; 0: none
	Memory   int64   // bytes, of the control group or the machine
	Free     int64   // bytes of them that are free or can be freed at once
}

// Here are the limits of this process.
func Here() Limits { return Read(os.DirFS("/"), runtime.NumCPU()) }

// Read reads the limits under a root file system. What cannot be read bounds nothing; memory of 0 is unknown.
func Read(root fs.FS, affinity int) Limits {
	machine := table(root, "proc/meminfo")
	l := Limits{CPUs: affinity, Affinity: affinity, Memory: machine["MemTotal:"] << 10, Free: machine["MemAvailable:"] << 10}
	if l.Memory == 0 { // no Linux: there are no control groups either
		return l
	}
	for _, dir := range groups(root) {
		for _, v := range versions {
			l.bound(root, dir, v)
		}
	}
	return l
}

// version is how the files in a folder are named. The first two have the quota and the period that it is for.
// https://docs.kernel.org/admin-guide/cgroup-v2.html, and v1's scheduler/sched-bwc.html and memory.html
type version struct{ quota, period, limit, used, cache string }

var versions = []version{
	{"cpu.max", "", "memory.max", "memory.current", "inactive_file"},
	{"cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
}

// bound lowers the limits to those of a control group.
func (l *Limits) bound(root fs.FS, dir string, v version) {
	file := func(name string) string { return read(root, path.Join(dir, name)) }
	if times := strings.Fields(file(v.quota) + " " + file(v.period)); len(times) == 2 {
		allowed, _ := strconv.ParseFloat(times[0], 64) // max and −1 stand for none
		period, _ := strconv.ParseFloat(times[1], 64)
		if q := allowed / period; allowed > 0 && period > 0 && (l.Quota == 0 || q < l.Quota) {
			l.Quota, l.CPUs = q, min(l.Affinity, int(math.Ceil(q)))
		}
	}
	limit, err := strconv.ParseInt(file(v.limit), 10, 64)
	if err != nil || limit >= math.MaxInt64/2 { // max, and how version 1 says it
		return
	}
	used, _ := strconv.ParseInt(file(v.used), 10, 64)
	used -= table(root, path.Join(dir, "memory.stat"))[v.cache] // what nobody uses of the page cache can be had back
	l.Memory, l.Free = min(l.Memory, limit), max(0, min(l.Free, limit-used))
}

// groups are the folders of the process's control groups, of both versions, and of all that they are in: each bounds what is
// below it. Those that are not there are left to be not read: in a container the paths are often another namespace's.
func groups(root fs.FS) (dirs []string) {
	for line := range strings.Lines(read(root, "proc/self/cgroup")) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		mounts := append(strings.Split(controllers, ","), controllers) // version 2 has none, and no folder of that name
		for _, mount := range mounts {
			for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
				dirs = append(dirs, path.Join("sys/fs/cgroup", mount, dir))
				if dir == "/" {
					break
				}
			}
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func read(root fs.FS, name string) string {
	data, _ := fs.ReadFile(root, name)
	return strings.TrimSpace(string(data))
}

// table reads a file of lines with a name and a number.
func table(root fs.FS, name string) map[string]int64 {
	out := map[string]int64{}
	for line := range strings.Lines(read(root, name)) {
		if f := strings.Fields(line); len(f) > 1 {
			out[f[0]], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return out
}
