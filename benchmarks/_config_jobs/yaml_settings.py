"""The base class of pydantic-settings' schema: three YAML files as one source, below variables and flags."""

from __future__ import annotations

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

FILES = ["default.yaml", "base.yaml", "experiment.yaml"]


class YamlSettings(BaseSettings):
    """Settings from flags, variables and YAML files, in this order."""

    model_config = SettingsConfigDict(env_prefix="LLM_", env_nested_delimiter="__", extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the files below the variables; without `deep_merge` a later file would replace whole sections."""
        return env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=FILES, deep_merge=True)
