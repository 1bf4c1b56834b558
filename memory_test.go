package supertable

import (
	"testing"
	"testing/fstest"
)

func TestDefaultMemory(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing is known", nil, 2 * gib},
		{"a large machine", map[string]string{"proc/meminfo": "MemFree: 1 kB\nMemTotal:       25165824 kB\n"}, 2 * gib},
		{"a small machine", map[string]string{"proc/meminfo": "MemTotal: 2097152 kB\n"}, gib},
		{"a tiny machine", map[string]string{"proc/meminfo": "MemTotal: 262144 kB\n"}, 256 << 20},
		{"no number", map[string]string{"proc/meminfo": "MemTotal: many\n"}, 2 * gib},
		{"a container", map[string]string{"proc/meminfo": "MemTotal: 25165824 kB\n", "sys/fs/cgroup/memory.max": "2147483648\n"}, gib},
		{"a container without a limit", map[string]string{"proc/meminfo": "MemTotal: 25165824 kB\n", "sys/fs/cgroup/memory.max": "max\n"}, 2 * gib},
		{"a service", map[string]string{"proc/self/cgroup": "0::/system.slice/lake.service\n", "sys/fs/cgroup/system.slice/lake.service/memory.max": "1073741824\n"}, gib / 2},
		{"a slice above it", map[string]string{"proc/self/cgroup": "0::/system.slice/lake.service\n", "sys/fs/cgroup/system.slice/memory.max": "1073741824\n"}, gib / 2},
		{"the first version", map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:memory,hugetlb:/docker/1\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "2147483648\n"}, gib},
		{"the first version, no limit", map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2 * gib},
		{"a group that climbs", map[string]string{"proc/self/cgroup": "0::/../../..\nrubbish\n"}, 2 * gib},
	} {
		files := fstest.MapFS{}
		for name, text := range tt.files {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := defaultMemory(files); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
