"""The shape of the U-Net."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SettingsError
from ..ranges import check_ranges, check_sequence, ranged_field
from .layers import CHANNEL_MULT, DOWNSAMPLING, MOST_LEVELS, NORM_GROUPS


@dataclass(frozen=True)
class UNetSpec:
    """The shape of a U-Net. The defaults are those of the released model.

    Attributes:
        in_channels: Channels of the input: those of the noisy latent, then those of the LQ latent.
        out_channels: Channels of the predicted noise.
        model_channels: Width of the first level. It is a multiple of 32, the number of normalization groups.
        channel_mult: Width of each level as a multiple of `model_channels`.
        num_res_blocks: Residual blocks of each level on the way down. The way up has one more.
        attention_downsampling: Downsampling factors of the levels that have attention.
        num_head_channels: Channels of an attention head. The shapes of the weights do not tell it.

    Raises:
        OutOfRangeError: A value is outside its range.
        SettingsError: Values do not fit together.
    """

    in_channels: int = ranged_field(16, 2, 1024)
    out_channels: int = ranged_field(8, 1, 512)
    model_channels: int = ranged_field(160, NORM_GROUPS, 8192)
    channel_mult: tuple[int, ...] = (1, 2, 2, 4)
    num_res_blocks: int = ranged_field(2, 1, 32)
    attention_downsampling: tuple[int, ...] = (2, 4, 8)
    num_head_channels: int = ranged_field(32, 1, 8192)

    def __post_init__(self) -> None:
        check_ranges(self)
        check_sequence("channel_mult", self.channel_mult, CHANNEL_MULT, MOST_LEVELS)
        if self.attention_downsampling:
            check_sequence("attention_downsampling", self.attention_downsampling, DOWNSAMPLING, MOST_LEVELS)
        if self.model_channels % NORM_GROUPS:
            raise SettingsError(
                f"The U-Net's model_channels is {self.model_channels}.",
                expected=f"a multiple of {NORM_GROUPS}, the number of normalization groups",
                remedy="check the model's config",
            )
        uneven = [w for w in self.attention_widths if w % self.num_head_channels]
        if uneven:
            raise SettingsError(
                f"Attention over {uneven[0]} channels cannot have heads of {self.num_head_channels} channels.",
                expected="a head size that divides every attention width",
                remedy="set num_head_channels (--config) to the value that the model was trained with",
            )
        if self.in_channels <= self.out_channels:
            raise SettingsError(
                f"The U-Net takes {self.in_channels} channels and predicts {self.out_channels}.",
                expected="more input than output channels: the noisy latent, then the LQ latent",
                remedy="use a ReF-LDM checkpoint, not an unconditional one",
            )

    @property
    def attention_widths(self) -> tuple[int, ...]:
        """Widths of the feature maps that attention layers see, in ascending order, including the middle block's."""
        widths = {
            self.model_channels * m
            for level, m in enumerate(self.channel_mult)
            if 2**level in self.attention_downsampling
        }
        return tuple(sorted(widths | {self.model_channels * self.channel_mult[-1]}))
