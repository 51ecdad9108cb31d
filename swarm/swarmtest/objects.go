package swarmtest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/swarm"
)

// Limits of Swarm. Content of exactly this size is refused as well.
const (
	maxConfigSize = 1000 * 1024
	maxSecretSize = 500 * 1024
)

var objectName = regexp.MustCompile(`^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$`)

func validateObject(kind, name string, data []byte, limit int) error {
	switch {
	case name == "":
		return invalid("name must be provided")
	case len(name) > 64 || !objectName.MatchString(name):
		return invalid("invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]")
	case len(data) < 1 || len(data) >= limit:
		return invalid("%s data must be larger than 0 and less than %d bytes", kind, limit)
	}
	return nil
}

func alreadyExists(kind, name string) error {
	return refuse(http.StatusConflict, "rpc error: code = AlreadyExists desc = %s %s already exists", kind, name)
}

func onlyLabels() error { return invalid("only updates to Labels are allowed") }

// inUse refuses the removal of a config or secret that the Spec of a service names.
// Swarm does not check PreviousSpec.
func (e *Engine) inUse(kind, name string, references func(*swarm.ContainerSpec) bool) error {
	var users []string
	for _, s := range e.services {
		if references(s.Spec.TaskTemplate.ContainerSpec) {
			users = append(users, s.Spec.Name)
		}
	}
	switch len(users) {
	case 0:
		return nil
	case 1:
		return invalid("%s '%s' is in use by the following service: %s", kind, name, users[0])
	}
	return invalid("%s '%s' is in use by the following services: %s", kind, name, strings.Join(users, ", "))
}

func labelsOrEmpty(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

// Configs.

func configID(c *swarm.Config) string   { return c.ID }
func configName(c *swarm.Config) string { return c.Spec.Name }

func (e *Engine) configAt(r *http.Request) (int, error) {
	id := r.PathValue("id")
	i := find(e.configs, id, configID, configName)
	if i < 0 {
		return i, notFound("config", id)
	}
	return i, nil
}

func (e *Engine) listConfigs(r *http.Request) (answer, error) {
	only, err := filtersOf(r)
	if err != nil {
		return answer{}, err
	}
	listed := []*swarm.Config{}
	for _, c := range e.configs {
		if matches(only, c.ID, c.Spec.Name, c.Spec.Labels) {
			listed = append(listed, c)
		}
	}
	return ok(listed)
}

func (e *Engine) inspectConfig(r *http.Request) (answer, error) {
	i, err := e.configAt(r)
	if err != nil {
		return answer{}, err
	}
	return ok(e.configs[i])
}

func (e *Engine) createConfig(r *http.Request) (answer, error) {
	var spec swarm.ConfigSpec
	if err := decode(r, &spec); err != nil {
		return answer{}, err
	}
	if err := validateObject("config", spec.Name, spec.Data, maxConfigSize); err != nil {
		return answer{}, err
	}
	if slices.ContainsFunc(e.configs, func(c *swarm.Config) bool { return strings.EqualFold(c.Spec.Name, spec.Name) }) {
		return answer{}, alreadyExists("config", spec.Name)
	}
	spec.Labels = labelsOrEmpty(spec.Labels)
	config := &swarm.Config{Spec: spec}
	if isLease(spec.Name) {
		e.writeLease(config)
	} else {
		config.ID, config.Meta = e.newID(), e.newMeta()
	}
	e.configs = append(e.configs, config)
	e.wrote(events.ConfigEventType, events.ActionCreate, config.ID, spec.Name)
	return created(swarm.ConfigCreateResponse{ID: config.ID})
}

// isLease reports whether a config holds the lease of an instance. It is written all the
// time, so it takes no part in what tests count: writes, ids, and the versions of
// other objects.
func isLease(name string) bool { return strings.HasPrefix(name, "kargo-lease-") }

// writeLease gives the config of a lease its id and a version of its own.
func (e *Engine) writeLease(config *swarm.Config) {
	e.leases++
	config.ID = fmt.Sprintf("%x", sha256.Sum256([]byte(config.Spec.Name)))[:25]
	config.Version.Index, config.UpdatedAt = e.leases, e.now()
}

func (e *Engine) updateConfig(r *http.Request) (answer, error) {
	i, err := e.configAt(r)
	if err != nil {
		return answer{}, err
	}
	var spec swarm.ConfigSpec
	if err := decode(r, &spec); err != nil {
		return answer{}, err
	}
	version, err := versionOf(r, "config")
	if err != nil {
		return answer{}, err
	}
	config := e.configs[i]
	if spec.Name != config.Spec.Name || spec.Data != nil && !bytes.Equal(spec.Data, config.Spec.Data) {
		return answer{}, onlyLabels()
	}
	if version != config.Version.Index {
		return answer{}, outOfSequence()
	}
	config.Spec.Labels = labelsOrEmpty(spec.Labels)
	if isLease(spec.Name) {
		e.writeLease(config)
	} else {
		e.touch(&config.Meta)
	}
	e.wrote(events.ConfigEventType, events.ActionUpdate, config.ID, config.Spec.Name)
	return done(http.StatusOK)
}

func (e *Engine) removeConfig(r *http.Request) (answer, error) {
	i, err := e.configAt(r)
	if err != nil {
		return answer{}, err
	}
	config := e.configs[i]
	err = e.inUse("config", config.Spec.Name, func(container *swarm.ContainerSpec) bool {
		return slices.ContainsFunc(container.Configs, func(ref *swarm.ConfigReference) bool { return ref.ConfigID == config.ID })
	})
	if err != nil {
		return answer{}, err
	}
	e.configs = slices.Delete(e.configs, i, i+1)
	e.bump()
	e.wrote(events.ConfigEventType, events.ActionRemove, config.ID, config.Spec.Name)
	return done(http.StatusNoContent)
}

// Secrets. Their content cannot be read back.

func secretID(s *swarm.Secret) string   { return s.ID }
func secretName(s *swarm.Secret) string { return s.Spec.Name }

// hidden returns a secret without its content.
func hidden(secret *swarm.Secret) *swarm.Secret {
	shown := *secret
	shown.Spec.Data = nil
	return &shown
}

func (e *Engine) secretAt(r *http.Request) (int, error) {
	id := r.PathValue("id")
	i := find(e.secrets, id, secretID, secretName)
	if i < 0 {
		return i, notFound("secret", id)
	}
	return i, nil
}

func (e *Engine) listSecrets(r *http.Request) (answer, error) {
	only, err := filtersOf(r)
	if err != nil {
		return answer{}, err
	}
	listed := []*swarm.Secret{}
	for _, s := range e.secrets {
		if matches(only, s.ID, s.Spec.Name, s.Spec.Labels) {
			listed = append(listed, hidden(s))
		}
	}
	return ok(listed)
}

func (e *Engine) inspectSecret(r *http.Request) (answer, error) {
	i, err := e.secretAt(r)
	if err != nil {
		return answer{}, err
	}
	return ok(hidden(e.secrets[i]))
}

func (e *Engine) createSecret(r *http.Request) (answer, error) {
	var spec swarm.SecretSpec
	if err := decode(r, &spec); err != nil {
		return answer{}, err
	}
	if err := validateObject("secret", spec.Name, spec.Data, maxSecretSize); err != nil {
		return answer{}, err
	}
	if slices.ContainsFunc(e.secrets, func(s *swarm.Secret) bool { return strings.EqualFold(s.Spec.Name, spec.Name) }) {
		return answer{}, alreadyExists("secret", spec.Name)
	}
	spec.Labels = labelsOrEmpty(spec.Labels)
	secret := &swarm.Secret{ID: e.newID(), Meta: e.newMeta(), Spec: spec}
	e.secrets = append(e.secrets, secret)
	e.wrote(events.SecretEventType, events.ActionCreate, secret.ID, spec.Name)
	return created(swarm.SecretCreateResponse{ID: secret.ID})
}

func (e *Engine) updateSecret(r *http.Request) (answer, error) {
	i, err := e.secretAt(r)
	if err != nil {
		return answer{}, err
	}
	var spec swarm.SecretSpec
	if err := decode(r, &spec); err != nil {
		return answer{}, err
	}
	version, err := versionOf(r, "secret")
	if err != nil {
		return answer{}, err
	}
	secret := e.secrets[i]
	if spec.Name != secret.Spec.Name || spec.Data != nil && !bytes.Equal(spec.Data, secret.Spec.Data) {
		return answer{}, onlyLabels()
	}
	if version != secret.Version.Index {
		return answer{}, outOfSequence()
	}
	secret.Spec.Labels = labelsOrEmpty(spec.Labels)
	e.touch(&secret.Meta)
	e.wrote(events.SecretEventType, events.ActionUpdate, secret.ID, secret.Spec.Name)
	return done(http.StatusOK)
}

func (e *Engine) removeSecret(r *http.Request) (answer, error) {
	i, err := e.secretAt(r)
	if err != nil {
		return answer{}, err
	}
	secret := e.secrets[i]
	err = e.inUse("secret", secret.Spec.Name, func(container *swarm.ContainerSpec) bool {
		return slices.ContainsFunc(container.Secrets, func(ref *swarm.SecretReference) bool { return ref.SecretID == secret.ID })
	})
	if err != nil {
		return answer{}, err
	}
	e.secrets = slices.Delete(e.secrets, i, i+1)
	e.bump()
	e.wrote(events.SecretEventType, events.ActionRemove, secret.ID, secret.Spec.Name)
	return done(http.StatusNoContent)
}
