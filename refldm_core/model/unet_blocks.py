"""The blocks of the U-Net, and the order in which the published layout names them."""

from __future__ import annotations

from torch import Tensor, nn

from .attention import Attend, AttentionBlock
from .layers import Layers, Upsample
from .unet_spec import UNetSpec


class ResBlock(nn.Module):
    """Two convolutions with the timestep embedding added between them."""

    def __init__(self, make: Layers, in_channels: int, out_channels: int, emb_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            make.norm(in_channels, eps=1e-5),
            nn.SiLU(),
            make.conv3x3(in_channels, out_channels),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), make.linear(emb_channels, out_channels))
        self.out_layers = nn.Sequential(
            make.norm(out_channels, eps=1e-5),
            nn.SiLU(),
            nn.Identity(),  # dropout in the published layout, so the convolution has the index 3
            make.conv3x3(out_channels, out_channels),
        )
        same_width = in_channels == out_channels
        self.skip_connection = nn.Identity() if same_width else make.conv1x1(in_channels, out_channels)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Downsample(nn.Module):
    """Halves the size."""

    def __init__(self, make: Layers, channels: int) -> None:
        super().__init__()
        self.op = make.conv3x3(channels, channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Block(nn.ModuleList):
    """A sequence of layers. Each layer gets the arguments that its kind needs."""

    @property
    def attends(self) -> bool:
        """Whether the block has an attention layer."""
        return any(isinstance(layer, AttentionBlock) for layer in self)

    def forward(self, x: Tensor, emb: Tensor, attend: Attend) -> Tensor:
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, emb)
            elif isinstance(layer, AttentionBlock):
                x = layer(x, attend)
            else:
                x = layer(x)
        return x


class UNetBuilder:
    """Makes the blocks in the published order, so that `UNet` holds the computation alone."""

    def __init__(self, spec: UNetSpec, make: Layers) -> None:
        self.spec = spec
        self.make = make
        self.emb_channels = 4 * spec.model_channels
        self.widths = [spec.model_channels * mult for mult in spec.channel_mult]
        self.attention_levels: dict[str, int] = {}
        """Name of an attention layer -> number of times that its feature map was halved."""

    def time_embed(self) -> nn.Sequential:
        return nn.Sequential(
            self.make.linear(self.spec.model_channels, self.emb_channels),
            nn.SiLU(),
            self.make.linear(self.emb_channels, self.emb_channels),
        )

    def input_blocks(self) -> tuple[nn.ModuleList, list[int]]:
        """Return the blocks of the way down, and the width of each block's output, which is also a skip connection."""
        width = self.spec.model_channels
        blocks = [Block([self.make.conv3x3(self.spec.in_channels, width)])]
        skip_widths = [width]
        for level, out_width in enumerate(self.widths):
            for _ in range(self.spec.num_res_blocks):
                blocks.append(Block(self._layers(f"input_blocks.{len(blocks)}", level, width, out_width)))
                width = out_width
                skip_widths.append(width)
            if level < len(self.widths) - 1:
                blocks.append(Block([Downsample(self.make, width)]))
                skip_widths.append(width)
        return nn.ModuleList(blocks), skip_widths

    def middle_block(self) -> Block:
        width = self.widths[-1]
        return Block(
            [
                self._res(width, width),
                self._attention("middle_block.1", width, len(self.widths) - 1),
                self._res(width, width),
            ]
        )

    def output_blocks(self, skip_widths: list[int]) -> nn.ModuleList:
        """Return the blocks of the way up. They take the skip connections in reverse order, one each."""
        remaining = list(skip_widths)
        width = self.widths[-1]
        blocks: list[Block] = []
        for level, out_width in reversed(list(enumerate(self.widths))):
            for i in range(self.spec.num_res_blocks + 1):
                layers = self._layers(f"output_blocks.{len(blocks)}", level, width + remaining.pop(), out_width)
                width = out_width
                if level > 0 and i == self.spec.num_res_blocks:
                    layers.append(Upsample(self.make, width))
                blocks.append(Block(layers))
        return nn.ModuleList(blocks)

    def out(self) -> nn.Sequential:
        width = self.widths[0]
        return nn.Sequential(
            self.make.norm(width, eps=1e-5),
            nn.SiLU(),
            self.make.conv3x3(width, self.spec.out_channels),
        )

    def _layers(self, block: str, level: int, in_width: int, out_width: int) -> list[nn.Module]:
        layers: list[nn.Module] = [self._res(in_width, out_width)]
        if 2**level in self.spec.attention_downsampling:
            layers.append(self._attention(f"{block}.1", out_width, level))
        return layers

    def _res(self, in_width: int, out_width: int) -> ResBlock:
        return ResBlock(self.make, in_width, out_width, self.emb_channels)

    def _attention(self, name: str, width: int, level: int) -> AttentionBlock:
        self.attention_levels[name] = level
        return AttentionBlock(self.make, name, width, self.spec.num_head_channels)
