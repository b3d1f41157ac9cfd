"""The same networks written with PyTorch's modules, under torchvision's names of attributes."""

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn


class Basic(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inside, width, stride)

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.downsample(x)).relu()


class Bottleneck(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = shortcut(inside, 4 * width, stride)

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


def shortcut(inside, outside, stride):
    if inside == outside and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))


class ResNet(nn.Module):
    def __init__(self, block, counts, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = 64
        for i, count in enumerate(counts):
            width = 64 << i
            blocks = []
            for j in range(count):
                blocks.append(block(inside, width, 2 if i and not j else 1))
                inside = width * (4 if block is Bottleneck else 1)
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inside, classes)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.fc(self.avgpool(x).flatten(1))


def resnet(depth, classes=1000):
    counts = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]
    return ResNet(Basic if depth < 50 else Bottleneck, counts, classes)


class VGG(nn.Module):
    """VGG16; ``pool`` is 7 in torchvision, ``width`` 4096."""

    def __init__(self, pool, width, classes):
        super().__init__()
        layers, inside = [], 3
        for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                layers += [nn.Conv2d(inside, channels, 3, padding=1), nn.ReLU()]
                inside = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * pool * pool, width), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(width, width), nn.ReLU(), nn.Dropout()),
            nn.Linear(width, classes),
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Fire(nn.Module):
    def __init__(self, inside, squeezed):
        super().__init__()
        self.squeeze = nn.Conv2d(inside, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, 4 * squeezed, 1)
        self.expand3x3 = nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


class SqueezeNet(nn.Module):
    def __init__(self, version, classes):
        super().__init__()

        def pool():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        if version == "1.0":
            body = [nn.Conv2d(3, 96, 7, 2), nn.ReLU(), pool()]
            body += [Fire(96, 16), Fire(128, 16), Fire(128, 32), pool()]
            body += [Fire(256, 32), Fire(256, 48), Fire(384, 48), Fire(384, 64), pool()]
            body += [Fire(512, 64)]
        else:
            body = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16), Fire(128, 16), pool()]
            body += [Fire(128, 32), Fire(256, 32), pool()]
            body += [Fire(256, 48), Fire(384, 48), Fire(384, 64), Fire(512, 64)]
        self.features = nn.Sequential(*body)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(512, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x):
        return self.classifier(self.features(x)).flatten(1)


class GPT(nn.Module):
    def __init__(self, vocabulary, block_size, layers, heads, width, tied):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(block_size, width)
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(
            block, layers, nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids):
        size = ids.shape[1]
        x = self.tokens(ids) + self.positions(torch.arange(size))
        mask = nn.Transformer.generate_square_subsequent_mask(size, dtype=x.dtype)
        return self.head(self.blocks(x, mask, is_causal=True))


class CharLSTM(nn.Module):
    def __init__(self, vocabulary, hidden_size, layers):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, hidden_size)
        self.lstm = nn.LSTM(hidden_size, hidden_size, layers, batch_first=True)
        self.head = nn.Linear(hidden_size, vocabulary)

    def forward(self, ids, state=None):
        y, state = self.lstm(self.embed(ids), state)
        return self.head(y), state


def settled(model, seed=0):
    """The model in evaluation mode, its statistics and affine parameters as after training."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, least, most):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (most - least) + least)

    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                uniform(part.running_mean, -0.2, 0.2)
                uniform(part.running_var, 0.5, 1.5)
                uniform(part.weight, 0.2, 0.7)
                uniform(part.bias, -0.2, 0.2)
            elif isinstance(part, (nn.Conv2d, nn.Linear)):
                bound = (6 / part.weight[0].numel()) ** 0.5
                uniform(part.weight, -bound, bound)
                if part.bias is not None:
                    uniform(part.bias, -0.1, 0.1)
    return model.eval()
