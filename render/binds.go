package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// labelFiles returns a digest of the files of the merged configuration that a
// container still binds, those that bindConfigs left; "" if there are none. A running
// container may not notice that a bound file changed: a label makes a new content roll
// the service. WithKey gives the label its value.
func labelFiles(s *rendering, service string, spec *swarm.ServiceSpec) (digest string) {
	container := spec.TaskTemplate.ContainerSpec
	hash := sha256.New()
	bound := 0
	for _, m := range container.Mounts {
		source, ok := s.files.Tree.Inside(m.Source)
		if m.Type != mount.TypeBind || !ok || kargo.IsState(source) {
			continue
		}
		at := s.files.VolumePlace(service, m.Target)
		files := s.files.Tree.Under(source)
		if len(files) == 0 {
			s.report.Warn(at, "put it into the workspace, or make the path absolute",
				"services.%s binds %s, which is not in the merged configuration", service, source)
		}
		for _, name := range files {
			bound++
			file := s.files.Tree.Get(name)
			if file.Secret {
				s.report.Fail(at, "use secrets:, or make the bind read-only: then it becomes a Swarm secret",
					"services.%s binds %s, which has values that are encrypted in the repository and never written to a disk", service, name)
			}
			fmt.Fprintf(hash, "%s\x00%d\x00", name, len(file.Data))
			hash.Write(file.Data)
		}
	}
	if bound == 0 {
		return ""
	}
	container.Labels[kargo.LabelFiles] = noDigest
	return hex.EncodeToString(hash.Sum(nil))
}
