package swarmcheck

import (
	"errors"

	"github.com/docker/docker/api/types/swarm"
	"github.com/moby/swarmkit/v2/agent/exec"
	"github.com/moby/swarmkit/v2/api"
	"github.com/moby/swarmkit/v2/template"
)

// Payload returns the reason for which the template of a config or secret cannot
// be expanded for a service that uses it; nil where it can. The driver is that
// of the template.
func Payload(driver string, data []byte, spec swarm.ServiceSpec) error {
	if costly().Match(data) {
		return nil
	}
	container := &api.ContainerSpec{}
	if used := spec.TaskTemplate.ContainerSpec; used != nil {
		container.Env = used.Env
		for _, config := range used.Configs {
			if config.File != nil {
				container.Configs = append(container.Configs, &api.ConfigReference{
					ConfigID: config.ConfigName, ConfigName: config.ConfigName,
					Target: &api.ConfigReference_File{File: &api.FileTarget{Name: config.File.Name}},
				})
			}
		}
		for _, secret := range used.Secrets {
			if secret.File != nil {
				container.Secrets = append(container.Secrets, &api.SecretReference{
					SecretID: secret.SecretName, SecretName: secret.SecretName,
					Target: &api.SecretReference_File{File: &api.FileTarget{Name: secret.File.Name}},
				})
			}
		}
	}
	task := &api.Task{
		ServiceID: "service", NodeID: "node", Slot: 1, ServiceAnnotations: api.Annotations{Name: spec.Name, Labels: spec.Labels},
		Spec: api.TaskSpec{Runtime: &api.TaskSpec_Container{Container: container}},
	}
	node := &api.NodeDescription{Hostname: "node", Platform: &api.Platform{OS: "linux", Architecture: "x86_64"}}
	_, _, err := template.ExpandConfigSpec(&api.Config{Spec: api.ConfigSpec{Data: data, Templating: &api.Driver{Name: driver}}}, node, task, stored{})
	return err
}

// stored hands the expansion empty configs and secrets.
type stored struct{}

func (stored) Secrets() exec.SecretGetter { return storedSecrets{} }
func (stored) Configs() exec.ConfigGetter { return storedConfigs{} }
func (stored) Volumes() exec.VolumeGetter { return storedVolumes{} }

type storedSecrets struct{}

func (storedSecrets) Get(string) (*api.Secret, error) { return &api.Secret{}, nil }

type storedConfigs struct{}

func (storedConfigs) Get(string) (*api.Config, error) { return &api.Config{}, nil }

type storedVolumes struct{}

func (storedVolumes) Get(string) (string, error) { return "", errors.New("no volumes") }
