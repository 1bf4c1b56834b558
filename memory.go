package supertable

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// defaultMemory is 2 GiB, or half of what the machine, or the container that
// the process runs in, has when that is less; files are those of the machine.
func defaultMemory(files fs.FS) int64 {
	const most, least = 2 << 30, 256 << 20
	has := int64(2 * most)
	if n, ok := machineMemory(files); ok {
		has = min(has, n)
	}
	for _, file := range cgroupLimits(files) {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // "max" is no limit
			has = min(has, n)
		}
	}
	return min(most, max(least, has/2))
}

func machineMemory(files fs.FS) (int64, bool) {
	text, err := fs.ReadFile(files, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err == nil
		}
	}
	return 0, false
}

// cgroupLimits lists the files that may limit the memory of this process: of
// its control group and all above it, in either version of them. In a
// container its own group stands at the root.
func cgroupLimits(files fs.FS) []string {
	out := []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"}
	text, err := fs.ReadFile(files, "proc/self/cgroup")
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(text)) { // id:controllers:path
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		if f[1] != "" {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
		}
		for dir := path.Clean("/" + f[2]); dir != "/"; dir = path.Dir(dir) {
			out = append(out, base+dir+"/"+file)
		}
	}
	return out
}
