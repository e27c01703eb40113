package host

import (
	"testing"
	"testing/fstest"
)

const meminfo = "MemTotal:       24684084 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n"

func TestRead(t *testing.T) {
	const machine, available = 24684084 << 10, 20000000 << 10
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Limits
	}{
		{"no control groups", nil, Limits{CPUs: 8, Affinity: 8, Memory: machine, Free: available}},
		{"version 2, a container of half a core and 512 MiB", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n",
			"sys/fs/cgroup/memory.max": "536870912\n", "sys/fs/cgroup/memory.current": "136870912\n",
			"sys/fs/cgroup/memory.stat": "anon 1\nfile 9\ninactive_file 100000000\n",
		}, Limits{CPUs: 1, Affinity: 8, Quota: 0.5, Memory: 536870912, Free: 500000000}},
		{"version 2, the outer group bounds more", map[string]string{
			"proc/self/cgroup": "0::/pod/inner\n", "sys/fs/cgroup/pod/inner/cpu.max": "max 100000\n", "sys/fs/cgroup/pod/cpu.max": "250000 100000\n",
			"sys/fs/cgroup/pod/inner/memory.max": "max\n", "sys/fs/cgroup/pod/memory.max": "1000000000\n", "sys/fs/cgroup/pod/memory.current": "1000\n",
		}, Limits{CPUs: 3, Affinity: 8, Quota: 2.5, Memory: 1000000000, Free: 999999000}},
		{"version 2, the inner group bounds more", map[string]string{
			"proc/self/cgroup": "0::/pod/inner\n", "sys/fs/cgroup/pod/inner/cpu.max": "100000 100000\n", "sys/fs/cgroup/pod/cpu.max": "400000 100000\n",
			"sys/fs/cgroup/pod/inner/memory.max": "500\n", "sys/fs/cgroup/pod/memory.max": "700\n", "sys/fs/cgroup/pod/memory.current": "600\n",
		}, Limits{CPUs: 1, Affinity: 8, Quota: 1, Memory: 500, Free: 100}},
		{"version 1", map[string]string{
			"proc/self/cgroup":                     "4:memory:/m\n2:cpu,cpuacct:/c\n1:name=systemd:/\n",
			"sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "150000\n", "sys/fs/cgroup/cpu/c/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/memory/m/memory.limit_in_bytes": "1000\n", "sys/fs/cgroup/memory/m/memory.usage_in_bytes": "900\n",
			"sys/fs/cgroup/memory/m/memory.stat": "inactive_file 1\ntotal_inactive_file 400\n",
		}, Limits{CPUs: 2, Affinity: 8, Quota: 1.5, Memory: 1000, Free: 500}},
		{"version 1 in a container, whose paths are the host's", map[string]string{
			"proc/self/cgroup": "2:cpu,cpuacct:/docker/0123\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
		}, Limits{CPUs: 1, Affinity: 8, Quota: 0.5, Memory: machine, Free: available}},
		{"version 1 without bounds", map[string]string{
			"proc/self/cgroup": "4:memory:/\n2:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, Limits{CPUs: 8, Affinity: 8, Memory: machine, Free: available}},
		{"a quota above the affinity, a path out of the namespace", map[string]string{
			"proc/self/cgroup": "0::/../../other\n", "sys/fs/cgroup/cpu.max": "1600000 100000\n",
		}, Limits{CPUs: 8, Affinity: 8, Quota: 16, Memory: machine, Free: available}},
		{"a group that is full, in one that is not", map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "100\n", "sys/fs/cgroup/a/memory.current": "120\n", "sys/fs/cgroup/memory.max": "900\n",
		}, Limits{CPUs: 8, Affinity: 8, Memory: 100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := Read(root, 8); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestHere(t *testing.T) {
	if l := Here(); l.CPUs < 1 || l.CPUs > l.Affinity || l.Free > l.Memory {
		t.Errorf("%+v", l)
	}
}
