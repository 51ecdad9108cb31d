package swarm

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/moby/term"

	"kargo"
	"kargo/dockerauth"
)

// Build builds an image on the manager's node and writes its progress to out: with
// live updates on a terminal, in plain lines elsewhere. The error of a build that
// fails is Invalid.
func (c *Client) Build(ctx context.Context, wanted kargo.Build, out io.Writer) error {
	files, err := archive(wanted.Files)
	if err != nil {
		return fmt.Errorf("pack the context of %s: %w", wanted.Name, err)
	}
	auths, err := c.allAuths()
	if err != nil {
		return err
	}
	args := map[string]*string{}
	for name, value := range wanted.Args {
		args[name] = &value
	}
	c.count("ImageBuild")
	answer, err := c.api.ImageBuild(ctx, files, build.ImageBuildOptions{
		Tags: wanted.Tags, Dockerfile: wanted.Dockerfile, BuildArgs: args, AuthConfigs: auths,
		PullParent: wanted.Pull, NoCache: !wanted.Cache, Remove: true, ForceRemove: true,
	})
	if err != nil {
		return fmt.Errorf("build %s: %w", wanted.Name, classify(err))
	}
	defer answer.Body.Close()
	if err := show(answer.Body, out); err != nil {
		return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("build %s: %w", wanted.Name, err)}
	}
	return nil
}

// Push sends an image to the registry in its name, with the credential that is known
// for it. The error of a registry that does not accept it is Unavailable.
func (c *Client) Push(ctx context.Context, tag string, out io.Writer) error {
	named, err := reference.ParseNormalizedNamed(tag)
	if err != nil {
		return kargo.Errorf(kargo.Invalid, "push %s: %w", tag, err)
	}
	auth, err := c.registryAuth(tag)
	if err != nil {
		return err
	}
	c.count("ImagePush")
	answer, err := c.api.ImagePush(ctx, reference.FamiliarString(reference.TagNameOnly(named)), image.PushOptions{RegistryAuth: auth})
	if err != nil {
		return fmt.Errorf("push %s: %w", tag, classify(err))
	}
	defer answer.Close()
	if err := show(answer, out); err != nil {
		return &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("push %s: %w", tag, err),
			Hint: "does the registry know you? see `docker login`, and --registry-auth-file"}
	}
	return nil
}

// show prints the progress that the daemon reports. Its error is the daemon's.
func show(stream io.Reader, out io.Writer) error {
	descriptor, isTerminal := term.GetFdInfo(out)
	err := jsonmessage.DisplayJSONMessagesStream(stream, out, descriptor, isTerminal, nil)
	var failed *jsonmessage.JSONError
	if errors.As(err, &failed) {
		return errors.New(failed.Message)
	}
	return err
}

// archive packs a build context. Equal files give equal bytes, so that layers of an
// earlier build are used again.
func archive(files map[string]kargo.File) (io.Reader, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := int64(0o644)
		if files[name].Executable {
			mode = 0o755
		}
		header := &tar.Header{Name: name, Mode: mode, Size: int64(len(files[name].Data)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(files[name].Data); err != nil {
			return nil, err
		}
	}
	return &packed, writer.Close()
}

// allAuths returns all credentials of registries, because only the Dockerfile says
// which of them a build needs.
func (c *Client) allAuths() (map[string]registry.AuthConfig, error) {
	if c.credentials == nil {
		return nil, nil
	}
	config, err := c.credentials()
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	addresses, err := dockerauth.Addresses(config)
	if err != nil {
		return nil, err
	}
	auths := map[string]registry.AuthConfig{}
	for _, address := range addresses {
		auth, err := credentialFor(config, dockerauth.Host(address))
		if err != nil {
			return nil, err
		}
		auths[address] = *auth
	}
	return auths, nil
}
