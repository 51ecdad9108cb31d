package permit

import (
	"reflect"

	"github.com/docker/docker/api/types/swarm"
)

// free marks the fields that give no privilege: they say what a service does
// within its own containers, how often it runs, and how it is described.
const free = ""

// fields are all fields of a service's spec, with the rule that judges each. The
// table is the decision on every one of them: a field that is not in it, because a
// newer version of Docker's types brought it, is refused by the rule
// unknown-fields wherever it is set, and a test fails until somebody decides.
var fields = map[string]string{
	"Name": free, "Labels": ruleHosts,

	"TaskTemplate.ContainerSpec.Image":           "registries",
	"TaskTemplate.ContainerSpec.Labels":          ruleHosts,
	"TaskTemplate.ContainerSpec.Command":         free,
	"TaskTemplate.ContainerSpec.Args":            free,
	"TaskTemplate.ContainerSpec.Hostname":        "templates",
	"TaskTemplate.ContainerSpec.Env":             "templates",
	"TaskTemplate.ContainerSpec.Dir":             free,
	"TaskTemplate.ContainerSpec.User":            free,
	"TaskTemplate.ContainerSpec.Groups":          free,
	"TaskTemplate.ContainerSpec.Init":            free,
	"TaskTemplate.ContainerSpec.StopSignal":      free,
	"TaskTemplate.ContainerSpec.TTY":             free,
	"TaskTemplate.ContainerSpec.OpenStdin":       free,
	"TaskTemplate.ContainerSpec.ReadOnly":        free,
	"TaskTemplate.ContainerSpec.StopGracePeriod": ruleStopGrace,
	"TaskTemplate.ContainerSpec.Hosts":           free,
	"TaskTemplate.ContainerSpec.Isolation":       "privileges",
	"TaskTemplate.ContainerSpec.Sysctls":         "sysctls",
	"TaskTemplate.ContainerSpec.CapabilityAdd":   "capabilities",
	"TaskTemplate.ContainerSpec.CapabilityDrop":  free,
	"TaskTemplate.ContainerSpec.OomScoreAdj":     "oom-score",

	"TaskTemplate.ContainerSpec.Ulimits.Name": "ulimits",
	"TaskTemplate.ContainerSpec.Ulimits.Hard": "ulimits",
	"TaskTemplate.ContainerSpec.Ulimits.Soft": "ulimits",

	"TaskTemplate.ContainerSpec.Privileges.CredentialSpec.Config":   "privileges",
	"TaskTemplate.ContainerSpec.Privileges.CredentialSpec.File":     "privileges",
	"TaskTemplate.ContainerSpec.Privileges.CredentialSpec.Registry": "privileges",
	"TaskTemplate.ContainerSpec.Privileges.SELinuxContext.Disable":  "privileges",
	"TaskTemplate.ContainerSpec.Privileges.SELinuxContext.User":     "privileges",
	"TaskTemplate.ContainerSpec.Privileges.SELinuxContext.Role":     "privileges",
	"TaskTemplate.ContainerSpec.Privileges.SELinuxContext.Type":     "privileges",
	"TaskTemplate.ContainerSpec.Privileges.SELinuxContext.Level":    "privileges",
	"TaskTemplate.ContainerSpec.Privileges.Seccomp.Mode":            "privileges",
	"TaskTemplate.ContainerSpec.Privileges.Seccomp.Profile":         free, // only counts with the mode "custom"
	"TaskTemplate.ContainerSpec.Privileges.AppArmor.Mode":           "privileges",
	"TaskTemplate.ContainerSpec.Privileges.NoNewPrivileges":         free,

	"TaskTemplate.ContainerSpec.Healthcheck.Test":          free,
	"TaskTemplate.ContainerSpec.Healthcheck.Interval":      ruleHealthInterval,
	"TaskTemplate.ContainerSpec.Healthcheck.Timeout":       free,
	"TaskTemplate.ContainerSpec.Healthcheck.StartPeriod":   free,
	"TaskTemplate.ContainerSpec.Healthcheck.StartInterval": ruleHealthInterval,
	"TaskTemplate.ContainerSpec.Healthcheck.Retries":       free,

	"TaskTemplate.ContainerSpec.DNSConfig.Nameservers": free,
	"TaskTemplate.ContainerSpec.DNSConfig.Search":      free,
	"TaskTemplate.ContainerSpec.DNSConfig.Options":     free,

	"TaskTemplate.ContainerSpec.Mounts.Type":        "volume-drivers",
	"TaskTemplate.ContainerSpec.Mounts.Source":      "external-volumes",
	"TaskTemplate.ContainerSpec.Mounts.Target":      "templates",
	"TaskTemplate.ContainerSpec.Mounts.ReadOnly":    free, // a bind of the merged configuration needs it
	"TaskTemplate.ContainerSpec.Mounts.Consistency": free,

	"TaskTemplate.ContainerSpec.Mounts.BindOptions.Propagation":            "mount-propagation",
	"TaskTemplate.ContainerSpec.Mounts.BindOptions.NonRecursive":           free,
	"TaskTemplate.ContainerSpec.Mounts.BindOptions.CreateMountpoint":       free, // of a path that is judged
	"TaskTemplate.ContainerSpec.Mounts.BindOptions.ReadOnlyNonRecursive":   free,
	"TaskTemplate.ContainerSpec.Mounts.BindOptions.ReadOnlyForceRecursive": free,

	"TaskTemplate.ContainerSpec.Mounts.VolumeOptions.NoCopy":               free,
	"TaskTemplate.ContainerSpec.Mounts.VolumeOptions.Labels":               "templates",
	"TaskTemplate.ContainerSpec.Mounts.VolumeOptions.Subpath":              free, // of a volume that is judged
	"TaskTemplate.ContainerSpec.Mounts.VolumeOptions.DriverConfig.Name":    "volume-drivers",
	"TaskTemplate.ContainerSpec.Mounts.VolumeOptions.DriverConfig.Options": ruleVolumeOptions,

	"TaskTemplate.ContainerSpec.Mounts.ImageOptions.Subpath":   free, // of an image that is judged
	"TaskTemplate.ContainerSpec.Mounts.TmpfsOptions.SizeBytes": ruleMemoryMounts,
	"TaskTemplate.ContainerSpec.Mounts.TmpfsOptions.Mode":      free,
	"TaskTemplate.ContainerSpec.Mounts.TmpfsOptions.Options":   ruleVolumeOptions,

	"TaskTemplate.ContainerSpec.Secrets.File.Name":  free,
	"TaskTemplate.ContainerSpec.Secrets.File.UID":   free,
	"TaskTemplate.ContainerSpec.Secrets.File.GID":   free,
	"TaskTemplate.ContainerSpec.Secrets.File.Mode":  free,
	"TaskTemplate.ContainerSpec.Secrets.SecretID":   ruleFields, // Kargo looks it up by the name
	"TaskTemplate.ContainerSpec.Secrets.SecretName": "external-secrets",
	"TaskTemplate.ContainerSpec.Configs.File.Name":  free,
	"TaskTemplate.ContainerSpec.Configs.File.UID":   free,
	"TaskTemplate.ContainerSpec.Configs.File.GID":   free,
	"TaskTemplate.ContainerSpec.Configs.File.Mode":  free,
	"TaskTemplate.ContainerSpec.Configs.ConfigID":   ruleFields,
	"TaskTemplate.ContainerSpec.Configs.ConfigName": "external-configs",

	"TaskTemplate.PluginSpec.Name":                   "plugins",
	"TaskTemplate.PluginSpec.Remote":                 "plugins",
	"TaskTemplate.PluginSpec.Privileges.Name":        "plugins",
	"TaskTemplate.PluginSpec.Privileges.Description": "plugins",
	"TaskTemplate.PluginSpec.Privileges.Value":       "plugins",
	"TaskTemplate.PluginSpec.Disabled":               "plugins",
	"TaskTemplate.PluginSpec.Env":                    "plugins",
	"TaskTemplate.NetworkAttachmentSpec.ContainerID": ruleFields,

	"TaskTemplate.Resources.Limits.NanoCPUs":                                          free,
	"TaskTemplate.Resources.Limits.MemoryBytes":                                       free,
	"TaskTemplate.Resources.Limits.Pids":                                              free,
	"TaskTemplate.Resources.Reservations.NanoCPUs":                                    ruleReservations,
	"TaskTemplate.Resources.Reservations.MemoryBytes":                                 ruleReservations,
	"TaskTemplate.Resources.Reservations.GenericResources.NamedResourceSpec.Kind":     "devices",
	"TaskTemplate.Resources.Reservations.GenericResources.NamedResourceSpec.Value":    "devices",
	"TaskTemplate.Resources.Reservations.GenericResources.DiscreteResourceSpec.Kind":  "devices",
	"TaskTemplate.Resources.Reservations.GenericResources.DiscreteResourceSpec.Value": "devices",
	"TaskTemplate.RestartPolicy.Condition":                                            free,
	"TaskTemplate.RestartPolicy.Delay":                                                ruleRestartDelay,
	"TaskTemplate.RestartPolicy.MaxAttempts":                                          free,
	"TaskTemplate.RestartPolicy.Window":                                               free,
	"TaskTemplate.Placement.Constraints":                                              rulePlacement,
	"TaskTemplate.Placement.Preferences.Spread.SpreadDescriptor":                      free,
	"TaskTemplate.Placement.MaxReplicas":                                              free,
	"TaskTemplate.Placement.Platforms.Architecture":                                   free,
	"TaskTemplate.Placement.Platforms.OS":                                             free,
	"TaskTemplate.Networks.Target":                                                    ruleExternal,
	"TaskTemplate.Networks.Aliases":                                                   "aliases",
	"TaskTemplate.Networks.DriverOpts":                                                ruleNetworkOptions,
	"TaskTemplate.LogDriver.Name":                                                     "log-drivers",
	"TaskTemplate.LogDriver.Options":                                                  "log-options",
	"TaskTemplate.ForceUpdate":                                                        free,
	"TaskTemplate.Runtime":                                                            "plugins",

	"Mode.Replicated.Replicas": "replicas", "Mode.ReplicatedJob.MaxConcurrent": "replicas", "Mode.ReplicatedJob.TotalCompletions": "replicas",
	"UpdateConfig.Parallelism": free, "UpdateConfig.Delay": free, "UpdateConfig.FailureAction": free,
	"UpdateConfig.Monitor": free, "UpdateConfig.MaxFailureRatio": free, "UpdateConfig.Order": free,
	"RollbackConfig.Parallelism": free, "RollbackConfig.Delay": free, "RollbackConfig.FailureAction": free,
	"RollbackConfig.Monitor": free, "RollbackConfig.MaxFailureRatio": free, "RollbackConfig.Order": free,

	// The place of networks in specs of old clients.
	"Networks.Target": ruleExternal, "Networks.Aliases": "aliases", "Networks.DriverOpts": ruleNetworkOptions,

	"EndpointSpec.Mode": free, "EndpointSpec.Ports.Name": free, "EndpointSpec.Ports.Protocol": free, "EndpointSpec.Ports.TargetPort": free,
	"EndpointSpec.Ports.PublishedPort": "published-ports", "EndpointSpec.Ports.PublishMode": "host-ports",
}

// unknownFields finds the fields of a spec that are set and that no rule knows, or
// that no spec of Kargo's has.
func unknownFields(spec swarm.ServiceSpec, say say) {
	walk("", reflect.ValueOf(spec), func(path string) {
		if rule, known := fields[path]; !known || rule == ruleFields {
			say(ruleFields, path, "sets the field "+path)
		}
	})
}

// walk calls found with the path of each field that has a value, entries of lists
// under the path of the list.
func walk(path string, value reflect.Value, found func(path string)) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			walk(path, value.Elem(), found)
		}
	case reflect.Slice:
		if !isStruct(value.Type().Elem()) {
			if value.Len() > 0 {
				found(path)
			}
			return
		}
		for i := range value.Len() {
			walk(path, value.Index(i), found)
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if inner := value.Field(i); !inner.IsZero() { // most are zero, and a path takes long
				walk(fieldPath(path, value.Type().Field(i)), inner, found)
			}
		}
	default:
		if !value.IsZero() {
			found(path)
		}
	}
}

// isStruct reports whether a type is a struct, or a pointer to one.
func isStruct(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// fieldPath returns the path of a field. An embedded struct adds nothing to it.
func fieldPath(path string, field reflect.StructField) string {
	if field.Anonymous {
		return path
	}
	if path == "" {
		return field.Name
	}
	return path + "." + field.Name
}
