package draft

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// keyOf returns the key in the compose file of an object that is called name in Swarm.
func (w writing) keyOf(name string) string {
	if key, own := strings.CutPrefix(name, w.stack.Namespace()+"_"); own && key != "" {
		return key
	}
	return notInKeys().ReplaceAllString(name, "-")
}

// attachments returns the networks of a service; nil if it has the default network
// only, as a service without networks has.
func (w writing) attachments(name string, networks []swarm.NetworkAttachmentConfig) mapping {
	var m mapping
	plain := true
	for _, network := range networks {
		aliases := slices.DeleteFunc(slices.Clone(network.Aliases), func(alias string) bool { return alias == name })
		key := w.keyOf(network.Target)
		var options mapping
		options.set("aliases", aliases)
		options.set("driver_opts", network.DriverOpts)
		plain = plain && key == "default" && len(options) == 0
		m.put(key, options)
	}
	if plain {
		return nil
	}
	return m
}

func (w writing) networks() mapping {
	var m mapping
	for _, network := range w.stack.Networks {
		key := w.keyOf(network.Name)
		var n mapping
		if network.External {
			m.put(key, mapping{{"external", true}, {"name", network.Name}})
			continue
		}
		if network.Name != w.stack.Namespace()+"_"+key {
			n.put("name", network.Name)
		}
		if network.Driver != "overlay" {
			n.set("driver", network.Driver)
		}
		n.set("driver_opts", network.Options)
		n.set("attachable", network.Attachable)
		n.set("internal", network.Internal)
		n.set("labels", labels(network.Labels))
		n.set("ipam", chosenSubnets(network))
		if key != "default" || len(n) > 0 {
			m.put(key, n)
		}
	}
	return m
}

// chosenSubnets returns the subnets that somebody chose. One of the size that Swarm
// gives, out of the range from which it gives them, was most likely given by Swarm.
func chosenSubnets(network kargo.Network) mapping {
	if network.IPAM == nil {
		return nil
	}
	swarms := netip.MustParsePrefix("10.0.0.0/8")
	var chosen []mapping
	for _, config := range network.IPAM.Config {
		subnet, err := netip.ParsePrefix(config.Subnet)
		if err == nil && !(subnet.Bits() == 24 && swarms.Contains(subnet.Addr())) {
			chosen = append(chosen, mapping{{"subnet", config.Subnet}})
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	return mapping{{"config", chosen}}
}

// mounts returns the volumes of a service, and declares those that have a name.
func (w writing) mounts(full string, mounts []mount.Mount) []mapping {
	var list []mapping
	for _, mounted := range mounts {
		m := mapping{{"type", string(mounted.Type)}}
		source := mounted.Source
		if mounted.Type == mount.TypeVolume && source != "" {
			source = w.volume(full, mounted)
		}
		m.set("source", source)
		m.put("target", mounted.Target)
		m.set("read_only", mounted.ReadOnly)
		if options := mounted.VolumeOptions; options != nil {
			var v mapping
			v.set("nocopy", options.NoCopy)
			v.set("subpath", options.Subpath)
			m.set("volume", v)
		}
		if options := mounted.BindOptions; options != nil {
			m.set("bind", mapping{{"propagation", string(options.Propagation)}}.withoutEmpty())
			if options.NonRecursive || options.CreateMountpoint || options.ReadOnlyNonRecursive || options.ReadOnlyForceRecursive {
				w.lose("service %s: options of the bind on %s, which a compose file cannot say; taking the service over replaces its tasks", full, mounted.Target)
			}
		}
		if options := mounted.TmpfsOptions; options != nil {
			var t mapping
			t.set("size", options.SizeBytes)
			m.set("tmpfs", t)
			if options.Mode != 0 || len(options.Options) > 0 {
				w.lose("service %s: mode or options of the tmpfs on %s, which a compose file cannot say; taking the service over replaces its tasks", full, mounted.Target)
			}
		}
		list = append(list, m)
	}
	return list
}

// volume declares the volume of a mount and returns its key.
func (w writing) volume(full string, mounted mount.Mount) string {
	key, known := w.volumes[mounted.Source]
	if !known {
		key = w.keyOf(mounted.Source)
		for w.declared[key] != nil {
			key += "-2"
		}
		w.volumes[mounted.Source] = key
	}
	options := mounted.VolumeOptions
	if options == nil || options.Labels[kargo.LabelNamespace] != w.stack.Namespace() {
		w.declared[key] = mapping{{"external", true}, {"name", mounted.Source}}
		if options != nil && (len(options.Labels) > 0 || options.DriverConfig != nil) {
			w.lose("service %s: driver or labels of volume %s, which is not the stack's; taking the service over replaces its tasks", full, mounted.Source)
		}
		return key
	}
	volume := mapping{}
	if mounted.Source != w.stack.Namespace()+"_"+key {
		volume.put("name", mounted.Source)
	}
	if driver := options.DriverConfig; driver != nil {
		volume.set("driver", driver.Name)
		volume.set("driver_opts", driver.Options)
	}
	volume.set("labels", labels(options.Labels))
	w.declared[key] = volume
	return key
}

func (w writing) configReferences(full string, references []*swarm.ConfigReference) []mapping {
	var list []mapping
	for _, reference := range references {
		if reference.File == nil {
			w.lose("service %s: config %s is not mounted as a file, which a compose file cannot say", full, reference.ConfigName)
			continue
		}
		list = append(list, w.reference(reference.ConfigName, swarm.SecretReferenceFileTarget(*reference.File)))
	}
	return list
}

func (w writing) secretReferences(references []*swarm.SecretReference) []mapping {
	var list []mapping
	for _, reference := range references {
		if reference.File != nil {
			list = append(list, w.reference(reference.SecretName, *reference.File))
		}
	}
	return list
}

// reference returns a use of a config or secret.
func (w writing) reference(name string, file swarm.SecretReferenceFileTarget) mapping {
	m := mapping{{"source", w.keyOf(name)}, {"target", file.Name}}
	if file.UID != "0" {
		m.set("uid", file.UID)
	}
	if file.GID != "0" {
		m.set("gid", file.GID)
	}
	if file.Mode != 0o444 {
		m.put("mode", literal(fmt.Sprintf("0%o", uint32(file.Mode))))
	}
	return m
}

// configs declares the Swarm configs, and writes the content of those that are the
// stack's.
func (w writing) configs() mapping {
	var m mapping
	for _, config := range w.stack.Configs {
		key := w.keyOf(config.Name)
		switch {
		case config.Secret:
		case config.External:
			m.put(key, mapping{{"external", true}, {"name", config.Name}})
		case config.Driver != "":
			m.put(key, mapping{{"external", true}, {"name", config.Name}})
			w.lose("config %s: it is a template, and another one would replace the tasks; the compose file refers to it as external. Its content is in %s",
				config.Name, w.content(key, config.Data))
		default:
			w.content(key, config.Data)
			m.put(key, mapping{{"file", "./" + contents + "/" + key}})
		}
	}
	return m
}

// contents is the folder of a stack with the contents of its configs.
const contents = "configs"

// content writes the content of a config, and returns the file.
func (w writing) content(key string, data []byte) string {
	file := path.Join(place, w.stack.Name, contents, key)
	w.Files[file] = File{Data: data}
	return file
}

func (w writing) secrets() mapping {
	var m mapping
	for _, secret := range w.stack.Configs {
		if !secret.Secret {
			continue
		}
		m.put(w.keyOf(secret.Name), mapping{{"external", true}, {"name", secret.Name}})
		if !secret.External {
			w.lose("secret %s: Swarm does not show its content. The compose file refers to it as external, so it stays as it is; to change it by the workspace, put the new content into an encrypted file and name it with file:",
				secret.Name)
		}
	}
	return m
}
