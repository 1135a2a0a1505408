"""Self-descriptions of components as they are met: the specification's sample with its faults, and worse."""

from __future__ import annotations

from typing import Any

SPECIFICATION_SAMPLE = """
{
    "componentName": "HeteroLR",
        "title": "纵向逻辑回归算法",
    "provider": "FATE",
    "version": "2.0.0",
    "description": "纵向逻辑回归算法",
    "roleList": ["guest", "host", "arbiter"],
    "desVersion": "1.2.0",
        "storageEngine": ["s3","hdfs"],
    "inputParam": [
        {"name": "id", "title": "id列", "description": "id字段名", "type": "string", "optional": "true",
         "defaultValue": "id", "validator": "regular-正则项", "UIPattern": "editeable",
         "groupTag": "默认分组-显示", "UIType": "input",
        },
        {"name": "label", "title": "标签", "type": "string", "optional": "true", "defaultValue": "y",
         "validator": "regular-正则项", "dependsOn": "", "UIPattern": "editeable", "groupTag": "默认分组-显示",
         "UIType": "input",
        },
        {"name": "penalty", "title": "正则项", "type": "string",
         "bindingData": [{"label": "L1正则", "value": "L1"}, {"label": "L2正则", "value": "L2"}],
         "optional": "true", "defaultValue": "L2", "validator": "regular-正则项", "UIPattern": "editeable",
         "groupTag": "默认分组-显示", "UIType": "select"
        },
        {"name": "optimizer", "title": "优化方法", "type": "string",
         "bindingData": [{"label": "rmsprop", "value": "rmsprop"}, {"label": "sgd", "value": "sgd"},
                         {"label": "adam", "value": "adam"}],
         "optional": "true", "defaultValue": "rmsprop", "validator": "regular-正则项", "UIPattern": "editeable",
         "groupTag": "默认分组-显示", "UIType": "select"
        },
        {"name": "batch_size", "title": "批量梯度下降样本量", "description": "每轮迭代抽取数据计算梯度的size",
         "type": "integer",
         "bindingData": [{"label": "all", "value": "all"}, {"label": "2048", "value": "2048"},
                         {"label": "4096", "value": "4096"}],
         "optional": "true", "defaultValue": "2048", "validator": "(0,1000)", "UIPattern": "editeable",
         "groupTag": "默认分组-显示", "UIType": "select"
        },
        {"name": "learning_rate", "title": "学习率", "type": "float", "optional": "true", "defaultValue": "0.15",
         "validator": "regular-正则项", "dependsOn": ["optimizer.sgd", "optimizer.adam"],
         "UIPattern": "editeable", "groupTag": "默认分组-显示", "UIType": "input",
        },
        {"name": "init_param", "title": "初始化参数", "type": "string", "optional": "true", "defaultValue": " ",
         "UIPattern": "editeable", "groupTag": "默认分组-显示", "UIType": "input"
        },
        {"name": "init_method", "title": "初始化方式", "type": "string", "optional": "true",
         "defaultValue": "zeros", "dependsOn": ["init_param"], "UIPattern": "editeable",
         "groupTag": "高级分组-默认不显示", "UIType": "input"
        },
        {"name": "max_iter", "title": "迭代次数", "type": "integer", "optional": "true", "defaultValue": "2",
         "validator": "(0,1000)", "UIPattern": "editeable", "groupTag": "默认分组-显示", "UIType": "input"
        },
    ],
    "inputData": [{"name": "train_data", "description": "训练集数据", "category": "dataset", "dataFormat": ["csv"]}],
    "outputData": [{"name": "model0", "description": "模型文件", "category": "model", "dataFormat": ["json"]}],
    "result": [{"resultCode": "4444", "resultMessage": "算法执行失败"}]
}
"""


def component(*params: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A description with these parameters."""
    return {"componentName": "thing", "provider": "acme", "version": "1", "inputParam": list(params), **members}


def large(count: int) -> dict[str, Any]:
    """One with many parameters of all kinds."""
    kinds: list[dict[str, Any]] = [
        {"type": "string", "UIType": "input"},
        {"type": "float", "UIType": "numberPicker", "validator": "(0,1)", "defaultValue": "0.5"},
        {"type": "boolean", "UIType": "switch", "defaultValue": "true"},
        {"type": "string", "UIType": "select", "bindingData": [{"label": "one", "value": "1"}]},
    ]
    return component(*({"name": f"p{n}", "title": f"参数 {n}"} | kinds[n % len(kinds)] for n in range(count)))
