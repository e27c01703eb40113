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
		if q, ok := quota(root, dir); ok && (l.Quota == 0 || q < l.Quota) {
			l.Quota = q
			l.CPUs = min(affinity, int(math.Ceil(q)))
		}
		if limit, used, ok := memory(root, dir); ok {
			l.Memory, l.Free = min(l.Memory, limit), max(0, min(l.Free, limit-used))
		}
	}
	return l
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

// quota is in processors.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files, and v1's scheduler/sched-bwc.html
func quota(root fs.FS, dir string) (processors float64, ok bool) {
	text := strings.Fields(read(root, dir+"/cpu.max"))
	if len(text) != 2 {
		text = []string{read(root, dir+"/cpu.cfs_quota_us"), read(root, dir+"/cpu.cfs_period_us")}
	}
	allowed, err1 := strconv.ParseFloat(text[0], 64)
	period, err2 := strconv.ParseFloat(text[1], 64)
	// max and −1 stand for none
	return allowed / period, err1 == nil && err2 == nil && allowed > 0 && period > 0
}

// memory is a group's limit and what of it cannot be had back: the page cache that nobody uses can.
func memory(root fs.FS, dir string) (limit, used int64, ok bool) {
	for _, v := range []struct{ limit, usage, cache string }{
		{"/memory.max", "/memory.current", "inactive_file"},
		{"/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"},
	} {
		limit, err := strconv.ParseInt(read(root, dir+v.limit), 10, 64)
		if err != nil || limit >= math.MaxInt64/2 { // max, and how version 1 says it
			continue
		}
		used, _ := strconv.ParseInt(read(root, dir+v.usage), 10, 64)
		return limit, used - table(root, dir+"/memory.stat")[v.cache], true
	}
	return 0, 0, false
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
